// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/byte_level.hpp"

#include <array>
#include <cstdint>

#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

constexpr bool prints_as_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr char32_t shifted_base = 0x100;  // the other bytes take the characters from here on, in order

constexpr std::array<char32_t, 256> make_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = shifted_base;
  for (unsigned byte = 0; byte < 256; ++byte)
    alphabet[byte] = prints_as_itself(byte) ? byte : next++;
  return alphabet;
}

constexpr std::array<char32_t, 256> alphabet = make_alphabet();

constexpr std::size_t characters_end = 0x144;  // one past the greatest character of the alphabet

constexpr std::array<std::int16_t, characters_end> make_inverse() {
  std::array<std::int16_t, characters_end> inverse{};
  for (auto& entry : inverse)
    entry = -1;
  for (unsigned byte = 0; byte < 256; ++byte)
    inverse[alphabet[byte]] = static_cast<std::int16_t>(byte);
  return inverse;
}

constexpr std::array<std::int16_t, characters_end> inverse = make_inverse();

}  // namespace

std::optional<std::string> bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  bytes.reserve(spelling.size());
  while (!spelling.empty()) {
    const utf8_step step = next_utf8(spelling);
    if (step.status != utf8_status::complete || step.code_point >= characters_end) return std::nullopt;
    if (inverse[step.code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(inverse[step.code_point]));
    spelling.remove_prefix(step.length);
  }
  return bytes;
}

std::string spelling_of_bytes(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes)
    append_utf8(spelling, alphabet[static_cast<std::uint8_t>(byte)]);
  return spelling;
}

}  // namespace troupe
