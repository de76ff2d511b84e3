// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "runtime/ids.hpp"
#include "runtime/text/utf8_assembler.hpp"

namespace troupe {

class tokenizer;

struct incremental_decoder_options {
  bool skip_special = true;   ///< special tokens add nothing to the text
  bool skip_unknown = false;  ///< an id that is no token adds nothing, instead of an error: models have spare rows
};

/// Turns the tokens of one sequence into text as they come. Each increment is whole characters; all increments with
/// that of finish() are what decoding all tokens at once gives. A token costs what its own bytes cost.
class incremental_decoder {
 public:
  /// `t` outlives the decoder.
  explicit incremental_decoder(const tokenizer& t, incremental_decoder_options options = {});

  /// The text that is certain with this token; may be empty. Throws tokenizer_error for an id that is no token.
  std::string push(token_id id);

  /// What an unfinished character at the end becomes. The decoder is as new afterwards.
  std::string finish();

 private:
  const tokenizer* tokenizer_;
  incremental_decoder_options options_;
  utf8_assembler assembler_;
};

}  // namespace troupe
