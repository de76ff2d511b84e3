// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

class evaluation;

/// Python's str.replace within the limits of a rendering; `count` below zero: all.
value replace_in(evaluation& run, std::string_view text, std::string_view from, std::string_view to,
                 std::int64_t count);

}  // namespace troupe::jinja
