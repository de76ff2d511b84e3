// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/evaluation.hpp"

namespace troupe::jinja {

std::vector<std::optional<value>> bind(evaluation& run, const call_arguments& arguments,
                                       std::initializer_list<std::string_view> parameters) {
  if (arguments.positional.size() > parameters.size())
    run.fail(fmt::format("{} arguments are given where {} can be", arguments.positional.size(), parameters.size()));
  std::vector<std::optional<value>> bound(parameters.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, v] : arguments.named) {
    const auto* found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) run.fail(fmt::format("the argument '{}' is not supported", name));
    bound[static_cast<std::size_t>(found - parameters.begin())] = v;
  }
  return bound;
}

}  // namespace troupe::jinja
