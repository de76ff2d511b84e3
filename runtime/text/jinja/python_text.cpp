// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/python_text.hpp"

#include <utf8proc.h>

#include "runtime/text/utf8.hpp"

namespace troupe::jinja {
namespace {

// Python's str.isspace: Unicode white space and the four separators of ASCII.
bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

bool is_stripped(std::string_view text, const utf8_step& step, std::optional<std::string_view> characters) {
  return characters ? characters->find(text) != std::string_view::npos : is_python_space(step.code_point);
}

template <class Map>
std::string map_characters(std::string_view text, Map map) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const utf8_step step = next_utf8(text);
    append_utf8(result, static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(step.code_point))));
    text.remove_prefix(step.length);
  }
  return result;
}

std::vector<std::string_view> split_at_space(std::string_view text, std::int64_t splits_max) {
  std::vector<std::string_view> parts;
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (splits_max >= 0 && static_cast<std::int64_t>(parts.size()) == splits_max) {
      parts.push_back(text);
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const utf8_step step = next_utf8(text.substr(end));
      if (is_python_space(step.code_point)) break;
      end += step.length;
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

}  // namespace

std::string_view strip_left(std::string_view text, std::optional<std::string_view> characters) {
  while (!text.empty()) {
    const utf8_step step = next_utf8(text);
    if (!is_stripped(text.substr(0, step.length), step, characters)) break;
    text.remove_prefix(step.length);
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::optional<std::string_view> characters) {
  while (!text.empty()) {
    const utf8_step step = last_utf8(text);
    if (!is_stripped(text.substr(text.size() - step.length), step, characters)) break;
    text.remove_suffix(step.length);
  }
  return text;
}

std::string_view strip(std::string_view text, std::optional<std::string_view> characters) {
  return strip_left(strip_right(text, characters), characters);
}

std::size_t length_in_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text)
    count += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80 ? 1 : 0;
  return count;
}

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    const std::size_t length = next_utf8(text).length;
    characters.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return characters;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t splits_max) {
  if (!separator) return split_at_space(text, splits_max);
  std::vector<std::string_view> parts;
  while (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
    const std::size_t found = text.find(*separator);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(0, found));
    text.remove_prefix(found + separator->size());
  }
  parts.push_back(text);
  return parts;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t count) {
  std::string result;
  const auto put = [&] {
    if (count == 0) return;
    result += to;
    if (count > 0) --count;
  };
  if (from.empty()) {  // between all characters
    for (const std::string_view character : characters_of(text)) {
      put();
      result += character;
    }
    put();
    return result;
  }
  std::size_t found = 0;
  while (count != 0 && (found = text.find(from)) != std::string_view::npos) {
    result += text.substr(0, found);
    put();
    text.remove_prefix(found + from.size());
  }
  result += text;
  return result;
}

std::string to_upper(std::string_view text) { return map_characters(text, utf8proc_toupper); }
std::string to_lower(std::string_view text) { return map_characters(text, utf8proc_tolower); }

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = next_utf8(text).length;
  return map_characters(text.substr(0, first), utf8proc_totitle) + to_lower(text.substr(first));
}

}  // namespace troupe::jinja
