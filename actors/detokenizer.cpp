// SPDX-License-Identifier: Apache-2.0
#include "actors/detokenizer.hpp"

#include <stdexcept>
#include <utility>

namespace troupe {

detokenizer::detokenizer(detokenizer_actor::impl* self, std::shared_ptr<const tokenizer> vocabulary)
    : self_(self), vocabulary_(std::move(vocabulary)) {}

detokenizer_actor::behavior_type detokenizer::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {
      [this](const open_text& message) { on_open(message); },
      [this](const decode& message) { return on_decode(message); },
      [this](const close_text& message) { answers_.erase(message.request); },
  };
}

void detokenizer::on_open(const open_text& message) {
  answers_.insert_or_assign(message.request,
                            opened_answer{{vocabulary_, message.stop_strings, message.include_stop}, message.fold});
}

text_decoded detokenizer::on_decode(const decode& message) {
  text_decoded result;
  for (const auto& piece : message.pieces)
    result.pieces.push_back(decode_piece(piece));
  return result;
}

decoded_piece detokenizer::decode_piece(const answer_piece& piece) {
  decoded_piece result;
  result.request = piece.request;
  result.fold = piece.fold;
  result.last = piece.last;
  auto answer = answers_.find(piece.request);
  if (answer == answers_.end() || answer->second.fold != piece.fold) {
    result.error = "the text of this request is closed";
    return result;
  }
  try {
    auto decoded = answer->second.decoder.feed(piece.tokens, piece.last);
    result.tokens = decoded.tokens;
    result.text = std::move(decoded.text);
    result.stopped = decoded.stopped;
  } catch (const std::runtime_error& error) {
    result.error = error.what();
  }
  if (piece.last || result.stopped || !result.error.empty()) answers_.erase(answer);
  return result;
}

}  // namespace troupe
