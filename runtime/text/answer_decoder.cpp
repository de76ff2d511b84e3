// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/answer_decoder.hpp"

#include <utility>

namespace troupe {

answer_decoder::answer_decoder(std::shared_ptr<const tokenizer> vocabulary,
                               const std::vector<std::string>& stop_strings, bool include_stop)
    : vocabulary_(std::move(vocabulary)), stops_(stop_strings, include_stop) {
  // A model's vocabulary may be padded beyond its tokenizer's: such an id is no text.
  if (vocabulary_)
    decoder_.emplace(*vocabulary_, incremental_decoder_options{.skip_special = true, .skip_unknown = true});
}

answer_decoder::result answer_decoder::feed(std::span<const token_id> tokens, bool last) {
  result out;
  for (auto token : tokens) {
    ++out.tokens;
    if (!decoder_) continue;
    out.text += stops_.push(decoder_->push(token));
    out.stopped = stops_.matched().has_value();
    if (out.stopped) return out;
  }
  if (!last) return out;
  if (decoder_) out.text += stops_.push(decoder_->finish());
  out.stopped = stops_.matched().has_value();
  if (!out.stopped) out.text += stops_.finish();
  return out;
}

}  // namespace troupe
