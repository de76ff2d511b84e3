// SPDX-License-Identifier: Apache-2.0
#include "actors/tokenizer.hpp"

#include <ctime>
#include <stdexcept>
#include <utility>

namespace troupe {

tokenizer_worker::tokenizer_worker(tokenizer_actor::impl* self, std::shared_ptr<const prompt_encoder> text)
    : self_(self), text_(std::move(text)) {}

tokenizer_actor::behavior_type tokenizer_worker::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {[this](const tokenize& message) { return on_tokenize(message); }};
}

/// A prompt that cannot be encoded is the client's error, not this actor's end.
caf::result<tokenized> tokenizer_worker::on_tokenize(const tokenize& message) const {
  try {
    auto seconds = std::time(nullptr);
    std::tm now{};
    localtime_r(&seconds, &now);
    return tokenized{text_->encode(message.prompt, now)};
  } catch (const std::runtime_error& error) {
    return make_failure(errc::invalid_request, error.what());
  }
}

}  // namespace troupe
