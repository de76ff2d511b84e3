// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/utf8.hpp"

#include <cstring>

namespace troupe {
namespace {

struct lead_byte {
  std::uint8_t length;  // of the whole character; 0: no character starts so
  std::uint8_t second_min;
  std::uint8_t second_max;
};

// The ranges of the second byte keep out overlong forms, surrogates and what lies above U+10FFFF.
lead_byte classify(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

std::size_t ascii_prefix(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (i < text.size() && static_cast<std::uint8_t>(text[i]) < 0x80)
    ++i;
  return i;
}

}  // namespace

utf8_step next_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const lead_byte lead = classify(byte(0));
  if (lead.length == 0) return {utf8_status::invalid, 1, 0};
  if (lead.length == 1) return {utf8_status::complete, 1, byte(0)};
  char32_t code = byte(0) & (0x7FU >> lead.length);
  for (std::uint8_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {utf8_status::incomplete, i, 0};
    const std::uint8_t low = i == 1 ? lead.second_min : 0x80;
    const std::uint8_t high = i == 1 ? lead.second_max : 0xBF;
    if (byte(i) < low || byte(i) > high) return {utf8_status::invalid, i, 0};
    code = (code << 6U) | (byte(i) & 0x3FU);
  }
  return {utf8_status::complete, lead.length, code};
}

utf8_step last_utf8(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (static_cast<std::uint8_t>(text[start]) & 0xC0U) == 0x80)
    --start;
  return next_utf8(text.substr(start));
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  std::size_t i = ascii_prefix(text);
  while (i < text.size()) {
    const utf8_step step = next_utf8(text.substr(i));
    if (step.status != utf8_status::complete) return i;
    i += step.length;
    if (i < text.size() && static_cast<std::uint8_t>(text[i]) < 0x80) i += ascii_prefix(text.substr(i));
  }
  return std::nullopt;
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace troupe
