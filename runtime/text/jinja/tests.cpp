// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <fmt/format.h>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/operators.hpp"

namespace troupe::jinja {
namespace {

using arguments = call_arguments;

bool is_sequence(const value& v) {
  return v.is_string() || v.list() != nullptr || v.mapping() != nullptr || v.is_undefined();
}

const value need_argument(evaluation& run, const arguments& given) {
  auto bound = bind(run, given, {"other"});
  if (!bound[0]) run.fail("the test needs an argument");
  return *bound[0];
}

std::int64_t need_integer(evaluation& run, const value& v) {
  if (!v.is_integer()) run.fail(fmt::format("the test needs an integer, not a {}", v.type_name()));
  return v.integer();
}

template <comparison_operator Op>
bool compares(evaluation& run, const value& v, const arguments& given) {
  return compare(run, Op, v, need_argument(run, given));
}

bool divisible_by(evaluation& run, const value& v, const arguments& given) {
  const std::int64_t by = need_integer(run, need_argument(run, given));
  if (by == 0) run.fail("division by zero");
  return by == -1 || need_integer(run, v) % by == 0;
}

struct entry {
  std::string_view name;
  builtin_test test;
};

constexpr std::array<entry, 32> tests = {{
    {"defined", [](evaluation&, const value& v, const arguments&) { return !v.is_undefined(); }},
    {"undefined", [](evaluation&, const value& v, const arguments&) { return v.is_undefined(); }},
    {"none", [](evaluation&, const value& v, const arguments&) { return v.is_none(); }},
    {"string", [](evaluation&, const value& v, const arguments&) { return v.is_string(); }},
    {"mapping", [](evaluation&, const value& v, const arguments&) { return v.mapping() != nullptr; }},
    {"sequence", [](evaluation&, const value& v, const arguments&) { return is_sequence(v); }},
    {"iterable", [](evaluation&, const value& v, const arguments&) { return is_sequence(v) || v.loop() != nullptr; }},
    {"number", [](evaluation&, const value& v, const arguments&) { return v.is_integer(); }},
    {"integer", [](evaluation&, const value& v, const arguments&) { return v.is_integer() && !v.is_boolean(); }},
    {"float", [](evaluation&, const value&, const arguments&) { return false; }},
    {"boolean", [](evaluation&, const value& v, const arguments&) { return v.is_boolean(); }},
    {"true", [](evaluation&, const value& v, const arguments&) { return v.is_boolean() && v.truthy(); }},
    {"false", [](evaluation&, const value& v, const arguments&) { return v.is_boolean() && !v.truthy(); }},
    {"odd", [](evaluation& run, const value& v, const arguments&) { return need_integer(run, v) % 2 != 0; }},
    {"even", [](evaluation& run, const value& v, const arguments&) { return need_integer(run, v) % 2 == 0; }},
    {"divisibleby", divisible_by},
    {"in", [](evaluation& run, const value& v, const arguments& a) { return run.contains(need_argument(run, a), v); }},
    {"eq", compares<comparison_operator::equal>},
    {"equalto", compares<comparison_operator::equal>},
    {"==", compares<comparison_operator::equal>},
    {"ne", compares<comparison_operator::not_equal>},
    {"!=", compares<comparison_operator::not_equal>},
    {"lt", compares<comparison_operator::less>},
    {"lessthan", compares<comparison_operator::less>},
    {"<", compares<comparison_operator::less>},
    {"le", compares<comparison_operator::less_equal>},
    {"<=", compares<comparison_operator::less_equal>},
    {"gt", compares<comparison_operator::greater>},
    {"greaterthan", compares<comparison_operator::greater>},
    {">", compares<comparison_operator::greater>},
    {"ge", compares<comparison_operator::greater_equal>},
    {">=", compares<comparison_operator::greater_equal>},
}};

}  // namespace

builtin_test find_test(std::string_view name) {
  for (const entry& e : tests)
    if (e.name == name) return e.test;
  return nullptr;
}

}  // namespace troupe::jinja
