// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/text/added_token.hpp"
#include "runtime/text/bpe.hpp"
#include "runtime/text/pre_tokenizer.hpp"

namespace troupe {

/// What a `tokenizer.json` says, as far as it matters. Truncation and padding in the file are not for serving and are
/// ignored, as transformers does.
struct tokenizer_definition {
  bpe_definition model;
  std::vector<added_token> added_tokens;
  bool nfc = false;
  std::vector<pre_tokenizer_step> pre_tokenizer;
  std::vector<token_id> prefix;  ///< put before a text when special tokens are asked for
  std::vector<token_id> suffix;
};

/// Reads the text of a `tokenizer.json`. Throws tokenizer_error, naming what is wrong or not supported and where.
tokenizer_definition parse_tokenizer_definition(std::string_view json_text);

}  // namespace troupe
