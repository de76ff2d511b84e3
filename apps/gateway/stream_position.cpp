// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/stream_position.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace troupe {

namespace {

constexpr std::size_t choices_max = 16;

template <class Number>
bool read_number(std::string_view& text, Number& number) {
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return true;
}

bool read_mark(std::string_view& text, char mark) {
  if (!text.starts_with(mark)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

bool choice_position::skip(answer_event& event) const {
  std::erase_if(event.tokens, [this](const answer_token& token) { return token.position < tokens; });
  if (event.text_offset < bytes) {
    const auto had = std::min<std::uint64_t>(bytes - event.text_offset, event.text.size());
    event.text.erase(0, had);
    event.text_offset += had;
  }
  return !event.tokens.empty() || !event.text.empty() || event.finish != finish_reason::none;
}

void choice_position::count(const answer_event& event) {
  tokens += static_cast<std::uint32_t>(event.tokens.size());
  bytes += event.text.size();
  finished |= event.finish != finish_reason::none;
}

std::string to_string(const stream_position& position) {
  auto out = to_string(position.key);
  auto mark = ':';
  for (const auto& choice : position.choices) {
    out += fmt::format("{}{}.{}{}", mark, choice.tokens, choice.bytes, choice.finished ? "f" : "");
    mark = ',';
  }
  return out;
}

std::optional<stream_position> parse_stream_position(std::string_view text) {
  const auto key = parse_request_key(text.substr(0, 32));
  if (!key) return std::nullopt;
  stream_position out{*key, {}};
  text.remove_prefix(32);
  for (auto mark = ':'; !text.empty(); mark = ',') {
    choice_position choice;
    if (out.choices.size() == choices_max || !read_mark(text, mark) || !read_number(text, choice.tokens) ||
        !read_mark(text, '.') || !read_number(text, choice.bytes))
      return std::nullopt;
    choice.finished = read_mark(text, 'f');
    out.choices.push_back(choice);
  }
  return out;
}

}  // namespace troupe
