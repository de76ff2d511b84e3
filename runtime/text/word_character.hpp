// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// What `\w` means in Unicode regular expressions: alphabetic characters, marks, decimal digits, connecting
/// punctuation and the two joiners.
bool is_word_character(char32_t code_point);

}  // namespace troupe
