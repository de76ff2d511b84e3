// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <iosfwd>

namespace troupe {

struct tokenize_options {
  std::filesystem::path model = {};  ///< folder with tokenizer.json
  bool decode = false;               ///< ids to text instead of text to ids
  bool add_special_tokens = false;   ///< encode: with what the model's template puts around a text
  bool skip_special = false;         ///< decode: leave out special tokens
};

/// `troupe tokenize`: one JSON string (or array of ids) a line in, one array of ids (or JSON string) a line out.
/// A line that cannot be used gives {"error": "..."} in its place, and 1 at the end. Returns the exit code: 0, 1, or 2
/// when the tokenizer cannot be loaded (then `errors` says why).
int tokenize_command(const tokenize_options& options, std::istream& in, std::ostream& out, std::ostream& errors);

}  // namespace troupe
