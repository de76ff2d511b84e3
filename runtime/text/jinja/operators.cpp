// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/operators.hpp"

#include <fmt/format.h>

#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/python_text.hpp"

namespace troupe::jinja {
namespace {

[[noreturn]] void refuse(evaluation& run, std::string_view op, const value& left, const value& right) {
  for (const value* v : {&left, &right})
    if (v->is_undefined()) run.fail(fmt::format("'{}' is undefined", v->undefined_name()));
  run.fail(fmt::format("'{}' does not work on {} and {}", op, left.type_name(), right.type_name()));
}

value add(evaluation& run, const value& left, const value& right) {
  if (left.is_string() && right.is_string()) return run.make_string(left.string() + right.string());
  if (left.list() != nullptr && right.list() != nullptr) {
    run.charge(left.list()->items.size() + right.list()->items.size());
    std::vector<value> items = left.list()->items;
    items.insert(items.end(), right.list()->items.begin(), right.list()->items.end());
    return run.make_list(std::move(items));
  }
  std::int64_t sum = 0;
  if (!left.is_integer() || !right.is_integer()) refuse(run, "+", left, right);
  if (__builtin_add_overflow(left.integer(), right.integer(), &sum)) run.fail("an integer is too large");
  return sum;
}

value repeat(evaluation& run, const value& text, std::int64_t count) {
  if (count <= 0 || text.string().empty()) return value("");
  if (static_cast<std::uint64_t>(count) > output_bytes_max / text.string().size())
    run.fail("a repeated string is too long");
  std::string result;
  for (std::int64_t i = 0; i < count; ++i)
    result += text.string();
  return run.make_string(std::move(result));
}

value multiply(evaluation& run, const value& left, const value& right) {
  if (left.is_string() && right.is_integer()) return repeat(run, left, right.integer());
  if (left.is_integer() && right.is_string()) return repeat(run, right, left.integer());
  std::int64_t product = 0;
  if (!left.is_integer() || !right.is_integer()) refuse(run, "*", left, right);
  if (__builtin_mul_overflow(left.integer(), right.integer(), &product)) run.fail("an integer is too large");
  return product;
}

value subtract(evaluation& run, const value& left, const value& right) {
  std::int64_t difference = 0;
  if (!left.is_integer() || !right.is_integer()) refuse(run, "-", left, right);
  if (__builtin_sub_overflow(left.integer(), right.integer(), &difference)) run.fail("an integer is too large");
  return difference;
}

// Python rounds down, and the remainder has the sign of the divisor.
value divide(evaluation& run, const value& left, const value& right, bool remainder) {
  if (!left.is_integer() || !right.is_integer()) refuse(run, remainder ? "%" : "//", left, right);
  const std::int64_t a = left.integer();
  const std::int64_t b = right.integer();
  if (b == 0) run.fail("division by zero");
  if (b == -1) return remainder ? value(std::int64_t{0}) : subtract(run, value(std::int64_t{0}), left);
  const std::int64_t rest = a % b;
  const bool below = rest != 0 && (rest < 0) != (b < 0);
  return remainder ? (below ? rest + b : rest) : a / b - (below ? 1 : 0);
}

bool less(evaluation& run, const value& left, const value& right, std::string_view op) {
  if (left.is_integer() && right.is_integer()) return left.integer() < right.integer();
  if (left.is_string() && right.is_string()) return left.string() < right.string();
  refuse(run, op, left, right);
}

// Where a slice begins or ends, by Python's rules for a length and a step.
std::int64_t clamp(std::optional<std::int64_t> given, std::int64_t otherwise, std::int64_t length, bool backwards) {
  if (!given) return otherwise;
  const std::int64_t low = backwards ? -1 : 0;
  const std::int64_t high = backwards ? length - 1 : length;
  const std::int64_t at = *given < 0 ? *given + length : *given;
  return std::min(std::max(at, low), high);
}

template <class Item>
std::vector<Item> sliced(const std::vector<Item>& items, std::optional<std::int64_t> begin,
                         std::optional<std::int64_t> end, std::int64_t step) {
  const auto length = static_cast<std::int64_t>(items.size());
  const bool backwards = step < 0;
  const std::int64_t first = clamp(begin, backwards ? length - 1 : 0, length, backwards);
  const std::int64_t last = clamp(end, backwards ? -1 : length, length, backwards);
  std::vector<Item> result;
  for (std::int64_t i = first; backwards ? i > last : i < last; i += step)
    result.push_back(items[static_cast<std::size_t>(i)]);
  return result;
}

}  // namespace

value apply(evaluation& run, binary_operator op, const value& left, const value& right) {
  switch (op) {
    case binary_operator::add:
      return add(run, left, right);
    case binary_operator::subtract:
      return subtract(run, left, right);
    case binary_operator::multiply:
      return multiply(run, left, right);
    case binary_operator::floor_divide:
      return divide(run, left, right, false);
    case binary_operator::modulo:
      return divide(run, left, right, true);
    case binary_operator::concatenate:
      return run.make_string(run.text_of(left) + run.text_of(right));
    default:
      break;
  }
  run.fail("an operator is used where it cannot be");  // and, or: evaluated where their right side may stay unevaluated
}

value apply(evaluation& run, unary_operator op, const value& operand) {
  if (op == unary_operator::logical_not) return !operand.truthy();
  const value zero(std::int64_t{0});
  if (!operand.is_integer()) refuse(run, op == unary_operator::negate ? "-" : "+", zero, operand);
  return op == unary_operator::negate ? subtract(run, zero, operand) : value(operand.integer());
}

bool compare(evaluation& run, comparison_operator op, const value& left, const value& right) {
  switch (op) {
    case comparison_operator::equal:
      return left == right;
    case comparison_operator::not_equal:
      return !(left == right);
    case comparison_operator::less:
      return less(run, left, right, "<");
    case comparison_operator::less_equal:
      return !less(run, right, left, "<=");
    case comparison_operator::greater:
      return less(run, right, left, ">");
    case comparison_operator::greater_equal:
      return !less(run, left, right, ">=");
    case comparison_operator::in:
      return run.contains(right, left);
    case comparison_operator::not_in:
      return !run.contains(right, left);
  }
  return false;
}

value subscript(evaluation& run, const value& object, const value& index) {
  if (object.is_undefined()) run.fail(fmt::format("'{}' is undefined", object.undefined_name()));
  if (index.is_string()) return run.attribute_of(object, index.string());
  if (!index.is_integer() || (object.list() == nullptr && !object.is_string())) return undefined_value{"[...]"};
  if (const auto* list = object.list()) {
    const auto length = static_cast<std::int64_t>(list->items.size());
    const std::int64_t at = index.integer() < 0 ? index.integer() + length : index.integer();
    if (at < 0 || at >= length) return undefined_value{fmt::format("[{}]", index.integer())};
    return list->items[static_cast<std::size_t>(at)];
  }
  run.charge(object.string().size() / 2);
  const auto characters = characters_of(object.string());
  const auto length = static_cast<std::int64_t>(characters.size());
  const std::int64_t at = index.integer() < 0 ? index.integer() + length : index.integer();
  if (at < 0 || at >= length) return undefined_value{fmt::format("[{}]", index.integer())};
  return value(characters[static_cast<std::size_t>(at)]);
}

value slice(evaluation& run, const value& object, std::optional<std::int64_t> begin, std::optional<std::int64_t> end,
            std::int64_t step) {
  if (step == 0) run.fail("the step of a slice is zero");
  step = std::min<std::int64_t>(std::max<std::int64_t>(step, -(1LL << 40)), 1LL << 40);  // no index overflows
  if (const auto* list = object.list()) return run.make_list(sliced(list->items, begin, end, step));
  if (object.is_undefined()) run.fail(fmt::format("'{}' is undefined", object.undefined_name()));
  if (!object.is_string()) run.fail(fmt::format("a {} cannot be sliced", object.type_name()));
  run.charge(object.string().size() / 2);
  std::string text;
  for (const std::string_view character : sliced(characters_of(object.string()), begin, end, step))
    text += character;
  return run.make_string(std::move(text));
}

}  // namespace troupe::jinja
