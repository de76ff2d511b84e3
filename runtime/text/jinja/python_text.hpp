// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

/// Strings as Python's `str` treats them: counted and indexed by character, stripped of Unicode white space. Every text
/// is well-formed UTF-8.

/// Without `characters`: white space is stripped.
std::string_view strip_left(std::string_view text, std::optional<std::string_view> characters = std::nullopt);
std::string_view strip_right(std::string_view text, std::optional<std::string_view> characters = std::nullopt);
std::string_view strip(std::string_view text, std::optional<std::string_view> characters = std::nullopt);

std::size_t length_in_characters(std::string_view text);

/// The characters one by one.
std::vector<std::string_view> characters_of(std::string_view text);

/// Without `separator`: at runs of white space. `splits_max` below zero: as many as there are.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t splits_max);

std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t count);

/// As `str.upper` and `str.lower` for text whose case mapping is one character to one.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

/// First character upper case, the others lower.
std::string capitalize(std::string_view text);

}  // namespace troupe::jinja
