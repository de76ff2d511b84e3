// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// Says why `text` is not one well-formed JSON object without duplicate keys and nested at most 32 deep, or is empty.
/// Parsers keep one of two equal keys, and not all the same one, so a file that has them means two things.
std::string find_json_error(std::string_view text);

}  // namespace troupe
