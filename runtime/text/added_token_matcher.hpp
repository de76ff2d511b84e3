// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/text/added_token.hpp"
#include "runtime/text/flat_map.hpp"

namespace troupe {

/// A part of a text: an added token, or what lies between two of them.
struct text_piece {
  std::string_view text;
  std::optional<token_id> token;
};

/// Finds added tokens in a text: the leftmost, of those the longest. Unchanging after construction.
class added_token_matcher {
 public:
  static constexpr std::size_t content_bytes_max = 1024;

  /// Throws tokenizer_error for an empty, a too long or a repeated content.
  explicit added_token_matcher(std::vector<added_token> tokens);

  /// Cuts `text` (well-formed UTF-8) into pieces, in order. Special tokens are left as text unless `find_special`.
  std::vector<text_piece> split(std::string_view text, bool find_special) const;

 private:
  struct match {
    std::size_t begin;
    std::size_t end;
    std::uint32_t token;  // index into tokens_
  };

  void insert(std::uint32_t index);
  std::optional<match> next_match(std::string_view text, std::size_t from) const;
  bool stands_alone(std::string_view text, const match& m) const;

  std::vector<added_token> tokens_;
  flat_map edges_;                        // (node, byte) -> node of a trie; node 0 is the root
  std::vector<std::uint32_t> token_at_;   // by node: index into tokens_, or none
  std::array<bool, 256> begins_token_{};  // the bytes that leave the root
};

}  // namespace troupe
