// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// Byte-level tokenizers spell each of the 256 bytes as one printable character ("Ġ" is a space). These two functions
/// are that alphabet in both directions.

/// The bytes that a token's spelling stands for; nothing when it has a character outside the alphabet.
std::optional<std::string> bytes_of_spelling(std::string_view spelling);

std::string spelling_of_bytes(std::string_view bytes);

}  // namespace troupe
