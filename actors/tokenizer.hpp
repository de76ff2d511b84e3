// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "actors/protocol.hpp"
#include "runtime/text/prompt_encoder.hpp"

namespace troupe {

/// Gives a prompt encoder a mailbox. Keeps nothing between messages, so any number of them share one encoder.
class tokenizer_worker {
 public:
  static inline const char* name = "tokenizer";

  tokenizer_worker(tokenizer_actor::impl* self, std::shared_ptr<const prompt_encoder> text);

  tokenizer_actor::behavior_type make_behavior();

 private:
  caf::result<tokenized> on_tokenize(const tokenize& message) const;

  tokenizer_actor::impl* self_;
  std::shared_ptr<const prompt_encoder> text_;
};

using tokenizer_impl = caf::stateful_actor<tokenizer_worker, tokenizer_actor::impl>;

}  // namespace troupe
