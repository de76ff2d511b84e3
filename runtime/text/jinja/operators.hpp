// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "runtime/text/jinja/ast.hpp"
#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

class evaluation;

/// The operators on values that are evaluated already, as Python has them for strings, integers and lists.
value apply(evaluation& run, binary_operator op, const value& left, const value& right);
value apply(evaluation& run, unary_operator op, const value& operand);
bool compare(evaluation& run, comparison_operator op, const value& left, const value& right);

/// `object[index]`: undefined where there is none.
value subscript(evaluation& run, const value& object, const value& index);
/// `object[begin:end:step]` of a string or a list.
value slice(evaluation& run, const value& object, std::optional<std::int64_t> begin, std::optional<std::int64_t> end,
            std::int64_t step);

}  // namespace troupe::jinja
