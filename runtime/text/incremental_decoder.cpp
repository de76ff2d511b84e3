// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/incremental_decoder.hpp"

#include "runtime/text/tokenizer.hpp"

namespace troupe {

incremental_decoder::incremental_decoder(const tokenizer& t, incremental_decoder_options options)
    : tokenizer_(&t), options_(options) {}

std::string incremental_decoder::push(token_id id) {
  std::string text;
  if (options_.skip_unknown && !tokenizer_->contains(id)) return text;
  const std::string_view bytes = tokenizer_->token_bytes(id);
  if (options_.skip_special && tokenizer_->is_special(id)) return text;
  assembler_.push(bytes, text);
  return text;
}

std::string incremental_decoder::finish() {
  std::string text;
  assembler_.finish(text);
  return text;
}

}  // namespace troupe
