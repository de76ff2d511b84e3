// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/text/merge_rules.hpp"
#include "runtime/text/vocabulary.hpp"

namespace troupe {

/// A byte-level byte-pair encoding as a tokenizer file gives it, tokens in the file's spelling.
struct bpe_definition {
  std::vector<std::pair<std::string, token_id>> tokens;
  std::vector<std::pair<std::string, std::string>> merges;  ///< in order of preference
  bool ignore_merges = false;                               ///< a word that is a token is not merged
};

/// Splits one word into tokens. Unchanging after construction.
class bpe {
 public:
  /// Throws tokenizer_error where the definition contradicts itself.
  explicit bpe(const bpe_definition& definition);

  void encode_word(std::string_view word, std::vector<token_id>& out) const;

  /// The tokens of the definition, as bytes.
  const vocabulary& tokens() const { return tokens_; }

 private:
  void add_tokens(const bpe_definition& definition);
  void add_merges(const bpe_definition& definition);
  void find_byte_tokens();
  void find_whole_words(bool ignore_merges);
  bool has_byte_tokens(std::string_view word) const;
  void merge_word(std::string_view word, std::vector<token_id>& out) const;

  vocabulary tokens_;
  merge_rules merges_;
  std::array<token_id, 256> byte_tokens_{};
  std::vector<bool> whole_word_;  // by id: the bytes of this token encode to itself alone
};

}  // namespace troupe
