// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

class evaluation;

/// The arguments of a call, evaluated.
struct call_arguments {
  std::vector<value> positional;
  std::vector<std::pair<std::string, value>> named;
};

/// The arguments in the order of the parameters' names; nothing where an argument is not given. Fails for one too many
/// or an unknown name.
std::vector<std::optional<value>> bind(evaluation& run, const call_arguments& arguments,
                                       std::initializer_list<std::string_view> parameters);

/// Plain functions: what they may use besides their arguments is the evaluation (its limits, its line for errors).
using builtin_function = value (*)(evaluation& run, const call_arguments& arguments);
using builtin_filter = value (*)(evaluation& run, const value& input, const call_arguments& arguments);
using builtin_test = bool (*)(evaluation& run, const value& input, const call_arguments& arguments);

/// Null for a name that is not supported.
builtin_function find_function(std::string_view name);
builtin_filter find_filter(std::string_view name);
builtin_test find_test(std::string_view name);
builtin_filter find_method(std::string_view name);

}  // namespace troupe::jinja
