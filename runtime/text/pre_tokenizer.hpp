// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/split_regex.hpp"

namespace troupe {

/// One step of cutting a text into words, as a tokenizer file gives it.
struct pre_tokenizer_step {
  bool add_prefix_space = false;       ///< a piece that does not begin with a space gets one
  std::optional<std::string> pattern;  ///< Oniguruma; nothing: the piece stays whole
};

/// The expression that a ByteLevel pre-tokenizer uses unless the file says otherwise.
inline constexpr std::string_view byte_level_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Cuts a text into the words that are encoded one by one. Unchanging after construction.
class pre_tokenizer {
 public:
  explicit pre_tokenizer(const std::vector<pre_tokenizer_step>& steps);

  /// The words are views of `text`, or of memory that lives during the call of the sink.
  void split(std::string_view text, piece_sink& words) const { run(0, text, words); }

 private:
  struct step {
    bool add_prefix_space;
    std::optional<split_regex> regex;
  };
  class next_step;

  void run(std::size_t index, std::string_view text, piece_sink& words) const;
  void split_by(std::size_t index, std::string_view text, piece_sink& words) const;

  std::vector<step> steps_;
};

}  // namespace troupe
