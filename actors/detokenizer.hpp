// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>

#include "actors/protocol.hpp"
#include "runtime/text/answer_decoder.hpp"

namespace troupe {

/// Turns the tokens of every request of a router into text, as far as it is final. What it holds is a fold of the
/// tokens it was given: the router can make it again at any time with open_text and all tokens.
class detokenizer {
 public:
  static inline const char* name = "detokenizer";

  /// `vocabulary` null: answers have no text.
  detokenizer(detokenizer_actor::impl* self, std::shared_ptr<const tokenizer> vocabulary);

  detokenizer_actor::behavior_type make_behavior();

 private:
  struct opened_answer {
    answer_decoder decoder;
    std::uint32_t fold = 0;
  };

  void on_open(const open_text& message);
  text_decoded on_decode(const decode& message);
  decoded_piece decode_piece(const answer_piece& piece);

  detokenizer_actor::impl* self_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::map<request_id, opened_answer> answers_;  ///< closed by close_text, the last piece or a stop string
};

using detokenizer_impl = caf::stateful_actor<detokenizer, detokenizer_actor::impl>;

}  // namespace troupe
