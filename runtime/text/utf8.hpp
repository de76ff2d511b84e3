// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

enum class utf8_status : std::uint8_t {
  complete,   ///< one character
  invalid,    ///< bytes that no continuation can make a character
  incomplete  ///< the text ended inside a character
};

/// The first character of a text, or its longest prefix that could have become one (the unit that Unicode, Rust and
/// Python replace by one U+FFFD).
struct utf8_step {
  utf8_status status = utf8_status::complete;
  std::uint8_t length = 0;  ///< bytes, at least 1
  char32_t code_point = 0;  ///< only when complete
};

/// `text` is not empty.
utf8_step next_utf8(std::string_view text);

/// The last character of a well-formed text that is not empty.
utf8_step last_utf8(std::string_view text);

/// Offset of the first byte that is not part of a well-formed character.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

/// What Unicode calls White_Space.
bool is_white_space(char32_t code_point);

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

}  // namespace troupe
