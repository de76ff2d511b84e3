// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/added_token_matcher.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"
#include "runtime/text/word_character.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t none = ~std::uint32_t{0};

std::uint64_t edge(std::uint64_t node, char byte) { return (node << 8U) | static_cast<std::uint8_t>(byte); }

std::size_t skip_white_space(std::string_view text, std::size_t from) {
  while (from < text.size()) {
    const utf8_step step = next_utf8(text.substr(from));
    if (!is_white_space(step.code_point)) break;
    from += step.length;
  }
  return from;
}

std::size_t skip_white_space_back(std::string_view text, std::size_t from) {
  while (from > 0) {
    const utf8_step step = last_utf8(text.substr(0, from));
    if (!is_white_space(step.code_point)) break;
    from -= step.length;
  }
  return from;
}

}  // namespace

added_token_matcher::added_token_matcher(std::vector<added_token> tokens)
    : tokens_(std::move(tokens)), token_at_{none} {
  for (std::uint32_t i = 0; i < tokens_.size(); ++i)
    insert(i);
}

void added_token_matcher::insert(std::uint32_t index) {
  const std::string& content = tokens_[index].content;
  if (content.empty() || content.size() > content_bytes_max)
    throw tokenizer_error(fmt::format("the added token with the id {} is {} bytes long; 1 to {} are allowed",
                                      tokens_[index].id, content.size(), content_bytes_max));
  std::uint64_t node = 0;
  for (const char byte : content) {
    std::uint64_t next = edges_.find(edge(node, byte));
    if (next == flat_map::not_found) {
      next = token_at_.size();
      token_at_.push_back(none);
      edges_.assign(edge(node, byte), next);
    }
    node = next;
  }
  if (token_at_[node] != none)
    throw tokenizer_error(fmt::format("the added token '{}' is there twice, with the ids {} and {}", content,
                                      tokens_[token_at_[node]].id, tokens_[index].id));
  token_at_[node] = index;
  begins_token_[static_cast<std::uint8_t>(content[0])] = true;
}

std::optional<added_token_matcher::match> added_token_matcher::next_match(std::string_view text,
                                                                          std::size_t from) const {
  for (; from < text.size(); ++from) {
    if (!begins_token_[static_cast<std::uint8_t>(text[from])]) continue;
    std::optional<match> longest;
    std::uint64_t node = 0;
    for (std::size_t i = from; i < text.size(); ++i) {
      node = edges_.find(edge(node, text[i]));
      if (node == flat_map::not_found) break;
      if (token_at_[node] != none) longest = match{from, i + 1, token_at_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

bool added_token_matcher::stands_alone(std::string_view text, const match& m) const {
  const bool word_before = m.begin > 0 && is_word_character(last_utf8(text.substr(0, m.begin)).code_point);
  const bool word_after = m.end < text.size() && is_word_character(next_utf8(text.substr(m.end)).code_point);
  return !word_before && !word_after;
}

std::vector<text_piece> added_token_matcher::split(std::string_view text, bool find_special) const {
  std::vector<text_piece> pieces;
  std::size_t done = 0;
  std::size_t from = 0;
  const auto plain_until = [&](std::size_t end) {
    if (done < end) pieces.push_back({text.substr(done, end - done), std::nullopt});
  };
  while (const auto found = next_match(text, from)) {
    const added_token& token = tokens_[found->token];
    from = found->end;
    if (token.special && !find_special) continue;
    if (token.single_word && !stands_alone(text, *found)) continue;
    const std::size_t begin = token.lstrip ? std::max(done, skip_white_space_back(text, found->begin)) : found->begin;
    plain_until(begin);
    pieces.push_back({text.substr(found->begin, found->end - found->begin), token.id});
    done = token.rstrip ? skip_white_space(text, found->end) : found->end;
  }
  plain_until(text.size());
  return pieces;
}

}  // namespace troupe
