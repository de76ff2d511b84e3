// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/text/added_token_matcher.hpp"
#include "runtime/text/bpe.hpp"
#include "runtime/text/pre_tokenizer.hpp"
#include "runtime/text/tokenizer_definition.hpp"
#include "runtime/text/vocabulary.hpp"

namespace troupe {

struct encode_options {
  bool add_special_tokens = false;            ///< put what the file's template wants around the text (a first token)
  bool find_special_tokens = true;            ///< "<|im_end|>" in the text is that token, not its letters
  std::size_t bytes_max = 64U * 1024 * 1024;  ///< a longer text is refused
};

/// Text to token ids and back, exactly as Hugging Face `tokenizers` does with the same `tokenizer.json` (byte-level
/// BPE). Unchanging after construction: share one `const tokenizer` between threads.
class tokenizer {
 public:
  static constexpr std::size_t file_bytes_max = 128U * 1024 * 1024;

  /// Throws tokenizer_error, naming the file and what is wrong or not supported in it.
  static tokenizer from_file(const std::filesystem::path& path);
  /// Reads `tokenizer.json` in a model's folder.
  static tokenizer from_folder(const std::filesystem::path& folder);

  explicit tokenizer(const tokenizer_definition& definition);

  /// Throws tokenizer_error for a text that is too long or not UTF-8 (naming the byte).
  std::vector<token_id> encode(std::string_view text, const encode_options& options = {}) const;

  /// Bytes that are no character become U+FFFD. Throws tokenizer_error for an id that is no token.
  std::string decode(std::span<const token_id> ids, bool skip_special = false) const;

  bool contains(token_id id) const { return tokens_.contains(id); }
  /// What a token adds to a text; may be part of a character. Throws tokenizer_error for an id that is no token.
  std::string_view token_bytes(token_id id) const;
  /// True for an added token that its file calls special; false for any id that is no token.
  bool is_special(token_id id) const { return id >= 0 && std::size_t(id) < special_.size() && special_[id]; }
  /// The token of this spelling, as `tokenizer.json` spells it ("<|im_end|>", "Ġthe").
  std::optional<token_id> find(std::string_view spelling) const;
  /// One more than the greatest id; smaller ids may be missing.
  std::size_t vocabulary_size() const { return tokens_.size(); }

 private:
  void collect_tokens(const tokenizer_definition& definition);
  void encode_plain(std::string_view text, bool find_special, std::vector<token_id>& out) const;

  bpe model_;
  pre_tokenizer pre_tokenizer_;
  bool nfc_;
  added_token_matcher raw_added_;         // looked for before normalizing
  added_token_matcher normalized_added_;  // looked for after normalizing
  std::vector<token_id> prefix_;
  std::vector<token_id> suffix_;
  vocabulary tokens_;  // for decoding: the model's and the added ones
  std::vector<bool> special_;
  std::unordered_map<std::string, token_id> added_spellings_;
};

}  // namespace troupe
