// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::jinja {

/// What stands between the quotes of a string literal, its escapes replaced as Python's `unicode-escape` does. Throws
/// chat_template_error for an escape that is not supported.
std::string unescape_string_literal(std::string_view body, std::size_t line);

}  // namespace troupe::jinja
