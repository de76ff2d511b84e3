// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// True when the text is surely in Unicode's normal form C already: a cheap test that is right for ASCII, Latin, Han,
/// kana, Hangul syllables and emoji, and Greek, Cyrillic, Arabic, Hebrew letters, and says false for anything it does
/// not know.
bool is_plainly_nfc(std::string_view text);

/// Normal form C of a well-formed UTF-8 text, by the version of Unicode that Hugging Face tokenizers use (9).
std::string to_nfc(std::string_view text);

}  // namespace troupe
