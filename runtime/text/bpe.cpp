// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/bpe.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "runtime/text/byte_level.hpp"
#include "runtime/text/tokenizer_error.hpp"

namespace troupe {
namespace {

constexpr token_id ids_max = 1 << 24;               // far above any vocabulary; bounds what a hostile file allocates
constexpr std::size_t tokens_bytes_max = 1U << 30;  // offsets into the vocabulary are 32 bits

}  // namespace

bpe::bpe(const bpe_definition& definition) : merges_(definition.merges.size()) {
  add_tokens(definition);
  add_merges(definition);
  find_byte_tokens();
  find_whole_words(definition.ignore_merges);
}

void bpe::add_tokens(const bpe_definition& definition) {
  std::size_t bytes_total = 0;
  for (const auto& [spelling, id] : definition.tokens) {
    if (id < 0 || id >= ids_max)
      throw tokenizer_error(
          fmt::format("token '{}' has the id {}; ids lie between 0 and {}", spelling, id, ids_max - 1));
    if (tokens_.contains(id))
      throw tokenizer_error(fmt::format("the id {} is given to two tokens, one of them '{}'", id, spelling));
    bytes_total += spelling.size();
    if (bytes_total > tokens_bytes_max) throw tokenizer_error("the tokens are longer than 1 GiB together");
    const auto bytes = bytes_of_spelling(spelling);
    // A token with a character outside the byte alphabet is reached by its id only; it decodes to its spelling.
    tokens_.add(id, bytes ? *bytes : spelling, bytes.has_value());
  }
  tokens_.build_index();
}

void bpe::add_merges(const bpe_definition& definition) {
  std::unordered_map<std::string_view, token_id> ids;
  ids.reserve(definition.tokens.size());
  for (const auto& [spelling, id] : definition.tokens)
    ids.emplace(spelling, id);
  std::uint32_t rank = 0;
  const auto id_of = [&](const std::string& spelling) {
    const auto found = ids.find(spelling);
    if (found == ids.end())
      throw tokenizer_error(
          fmt::format("merge {} uses the token '{}', which is not in the vocabulary", rank, spelling));
    return found->second;
  };
  for (const auto& [left, right] : definition.merges) {
    const token_id left_id = id_of(left);
    const token_id right_id = id_of(right);
    merges_.add(left_id, right_id, {rank, id_of(left + right)});
    ++rank;
  }
}

void bpe::find_byte_tokens() {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    const auto id = tokens_.find(std::string_view(&one, 1));
    const bool occurs_in_utf8 = byte < 0xC0 || (byte > 0xC1 && byte < 0xF5);
    if (!id && occurs_in_utf8)
      throw tokenizer_error(fmt::format(
          "the vocabulary has no token '{}' for the byte 0x{:02X}; a byte-level tokenizer has one for each byte",
          spelling_of_bytes(std::string_view(&one, 1)), byte));
    byte_tokens_[byte] = id.value_or(-1);
  }
}

// Most words of a text are one token. Which tokens a merge of their own bytes arrives at is known beforehand, so that
// encoding such a word is one lookup.
void bpe::find_whole_words(bool ignore_merges) {
  whole_word_.assign(tokens_.size(), ignore_merges);
  if (ignore_merges) return;
  std::vector<token_id> merged;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    if (!tokens_.contains(id) || tokens_.find(tokens_.bytes(id)) != id) continue;
    const std::string_view word = tokens_.bytes(id);
    if (!has_byte_tokens(word)) continue;
    merged.clear();
    merge_word(word, merged);
    whole_word_[i] = merged == std::vector<token_id>{id};
  }
}

// False for a token with a byte that no text has and the vocabulary has no token for.
bool bpe::has_byte_tokens(std::string_view word) const {
  return std::all_of(word.begin(), word.end(),
                     [this](char byte) { return byte_tokens_[static_cast<std::uint8_t>(byte)] >= 0; });
}

void bpe::merge_word(std::string_view word, std::vector<token_id>& out) const {
  const std::size_t first = out.size();
  for (const char byte : word)
    out.push_back(byte_tokens_[static_cast<std::uint8_t>(byte)]);
  merges_.apply(out, first);
}

void bpe::encode_word(std::string_view word, std::vector<token_id>& out) const {
  if (const auto id = tokens_.find(word); id && whole_word_[*id]) {
    out.push_back(*id);
  } else {
    merge_word(word, out);
  }
}

}  // namespace troupe
