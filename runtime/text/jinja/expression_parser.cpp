// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/expression_parser.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "runtime/text/jinja/error.hpp"
#include "runtime/text/jinja/limits.hpp"

namespace troupe::jinja {
namespace {

std::size_t depth_of(const expression_pointer& e) { return e ? e->depth : 0; }

std::size_t depth_of(const argument_list& arguments) {
  std::size_t depth = 0;
  for (const auto& e : arguments.positional)
    depth = std::max(depth, depth_of(e));
  for (const auto& [name, e] : arguments.named)
    depth = std::max(depth, depth_of(e));
  return depth;
}

// The limit holds for chains as well ("a + b + c ..."): they are deep trees, and whoever walks a tree does it
// recursively.
expression_pointer make(std::size_t line, std::size_t children_depth, expression::node_type node) {
  if (children_depth >= nesting_max) fail(line, fmt::format("an expression is nested deeper than {}", nesting_max));
  return std::make_unique<const expression>(expression{std::move(node), line, children_depth + 1});
}

struct comparison_symbol {
  std::string_view symbol;
  comparison_operator op;
};
constexpr std::array<comparison_symbol, 6> comparison_symbols = {{{"==", comparison_operator::equal},
                                                                  {"!=", comparison_operator::not_equal},
                                                                  {"<", comparison_operator::less},
                                                                  {"<=", comparison_operator::less_equal},
                                                                  {">", comparison_operator::greater},
                                                                  {">=", comparison_operator::greater_equal}}};

std::optional<comparison_operator> take_comparison(token_stream& tokens) {
  for (const auto& [symbol, op] : comparison_symbols)
    if (tokens.take_symbol(symbol)) return op;
  if (tokens.take_name("in")) return comparison_operator::in;
  if (tokens.is_name("not") && tokens.ahead().kind == token_kind::name && tokens.ahead().value == "in") {
    tokens.take();
    tokens.take();
    return comparison_operator::not_in;
  }
  return std::nullopt;
}

}  // namespace

class expression_parser::nesting {
 public:
  nesting(expression_parser& parser) : parser_(parser) {
    if (++parser_.depth_ > nesting_max)
      fail(parser_.tokens_.line(), fmt::format("an expression is nested deeper than {}", nesting_max));
  }
  ~nesting() { --parser_.depth_; }
  nesting(const nesting&) = delete;
  nesting& operator=(const nesting&) = delete;

 private:
  expression_parser& parser_;
};

expression_pointer expression_parser::parse() {
  const nesting guard(*this);
  expression_pointer result = disjunction();
  while (tokens_.is_name("if")) {
    const std::size_t line = tokens_.take().line;
    expression_pointer condition = disjunction();
    expression_pointer otherwise = tokens_.take_name("else") ? parse() : nullptr;
    const std::size_t depth = std::max({depth_of(result), depth_of(condition), depth_of(otherwise)});
    result = make(line, depth, conditional_expression{std::move(condition), std::move(result), std::move(otherwise)});
  }
  return result;
}

expression_pointer expression_parser::parse_tuple() {
  const std::size_t line = tokens_.line();
  expression_pointer first = parse();
  if (!tokens_.is_symbol(",")) return first;
  std::size_t depth = depth_of(first);
  list_expression items;
  items.items.push_back(std::move(first));
  while (tokens_.take_symbol(",")) {
    if (tokens_.is(token_kind::block_end) || tokens_.is(token_kind::output_end) || tokens_.is_symbol(")")) break;
    items.items.push_back(parse());
    depth = std::max(depth, depth_of(items.items.back()));
  }
  return make(line, depth, std::move(items));
}

expression_pointer expression_parser::binary(binary_operator op, expression_pointer left, expression_pointer right) {
  const std::size_t line = left->line;
  const std::size_t depth = std::max(depth_of(left), depth_of(right));
  return make(line, depth, binary_expression{op, std::move(left), std::move(right)});
}

expression_pointer expression_parser::disjunction() {
  expression_pointer left = conjunction();
  while (tokens_.take_name("or"))
    left = binary(binary_operator::logical_or, std::move(left), conjunction());
  return left;
}

expression_pointer expression_parser::conjunction() {
  expression_pointer left = negation();
  while (tokens_.take_name("and"))
    left = binary(binary_operator::logical_and, std::move(left), negation());
  return left;
}

expression_pointer expression_parser::negation() {
  if (!tokens_.is_name("not")) return comparison();
  const nesting guard(*this);
  const std::size_t line = tokens_.take().line;
  expression_pointer operand = negation();
  const std::size_t depth = depth_of(operand);
  return make(line, depth, unary_expression{unary_operator::logical_not, std::move(operand)});
}

expression_pointer expression_parser::comparison() {
  const std::size_t line = tokens_.line();
  expression_pointer first = sum();
  std::size_t depth = depth_of(first);
  comparison_expression chain;
  while (const auto op = take_comparison(tokens_)) {
    chain.rest.emplace_back(*op, sum());
    depth = std::max(depth, depth_of(chain.rest.back().second));
  }
  if (chain.rest.empty()) return first;
  chain.first = std::move(first);
  return make(line, depth, std::move(chain));
}

expression_pointer expression_parser::sum() {
  expression_pointer left = concatenation();
  while (tokens_.is_symbol("+") || tokens_.is_symbol("-")) {
    const auto op = tokens_.take().value == "+" ? binary_operator::add : binary_operator::subtract;
    left = binary(op, std::move(left), concatenation());
  }
  return left;
}

expression_pointer expression_parser::concatenation() {
  expression_pointer left = product();
  while (tokens_.take_symbol("~"))
    left = binary(binary_operator::concatenate, std::move(left), product());
  return left;
}

expression_pointer expression_parser::product() {
  expression_pointer left = unary(true);
  while (true) {
    if (tokens_.is_symbol("/") || tokens_.is_symbol("**"))
      fail(tokens_.line(), fmt::format("the operator '{}' is not supported", tokens_.current().value));
    if (tokens_.take_symbol("*")) {
      left = binary(binary_operator::multiply, std::move(left), unary(true));
    } else if (tokens_.take_symbol("//")) {
      left = binary(binary_operator::floor_divide, std::move(left), unary(true));
    } else if (tokens_.take_symbol("%")) {
      left = binary(binary_operator::modulo, std::move(left), unary(true));
    } else {
      return left;
    }
  }
}

expression_pointer expression_parser::unary(bool with_filters) {
  const nesting guard(*this);
  expression_pointer result;
  if (tokens_.is_symbol("-") || tokens_.is_symbol("+")) {
    const token& sign = tokens_.take();
    const auto op = sign.value == "-" ? unary_operator::negate : unary_operator::plus;
    const std::size_t line = sign.line;
    expression_pointer operand = unary(false);
    const std::size_t depth = depth_of(operand);
    result = make(line, depth, unary_expression{op, std::move(operand)});
  } else {
    result = primary();
  }
  result = postfix(std::move(result));
  return with_filters ? filters_and_tests(std::move(result)) : std::move(result);
}

expression_pointer expression_parser::primary() {
  switch (tokens_.current().kind) {
    case token_kind::name:
      return name();
    case token_kind::string:
      return string();
    case token_kind::integer: {
      const token& number = tokens_.take();
      return make(number.line, 0, literal_expression{value(std::int64_t{std::stoll(number.value)})});
    }
    default:
      break;
  }
  if (tokens_.is_symbol("(")) return parenthesized();
  if (tokens_.is_symbol("[")) return list();
  if (tokens_.is_symbol("{")) return mapping();
  tokens_.unexpected("an expression");
}

expression_pointer expression_parser::name() {
  const token& word = tokens_.take();
  const std::string& text = word.value;
  if (text == "true" || text == "True") return make(word.line, 0, literal_expression{value(true)});
  if (text == "false" || text == "False") return make(word.line, 0, literal_expression{value(false)});
  if (text == "none" || text == "None") return make(word.line, 0, literal_expression{value()});
  return make(word.line, 0, name_expression{text});
}

expression_pointer expression_parser::string() {
  const std::size_t line = tokens_.line();
  std::string text;
  while (tokens_.is(token_kind::string))
    text += tokens_.take().value;
  return make(line, 0, literal_expression{value(std::move(text))});
}

expression_pointer expression_parser::parenthesized() {
  const std::size_t line = tokens_.take().line;
  if (tokens_.take_symbol(")")) return make(line, 0, list_expression{});
  expression_pointer inner = parse_tuple();
  tokens_.expect_symbol(")");
  return inner;
}

expression_pointer expression_parser::list() {
  const std::size_t line = tokens_.take().line;
  list_expression items;
  std::size_t depth = 0;
  while (!tokens_.take_symbol("]")) {
    items.items.push_back(parse());
    depth = std::max(depth, depth_of(items.items.back()));
    if (!tokens_.is_symbol("]")) tokens_.expect_symbol(",");
  }
  return make(line, depth, std::move(items));
}

expression_pointer expression_parser::mapping() {
  const std::size_t line = tokens_.take().line;
  mapping_expression entries;
  std::size_t depth = 0;
  while (!tokens_.take_symbol("}")) {
    expression_pointer key = parse();
    tokens_.expect_symbol(":");
    entries.entries.emplace_back(std::move(key), parse());
    depth = std::max({depth, depth_of(entries.entries.back().first), depth_of(entries.entries.back().second)});
    if (!tokens_.is_symbol("}")) tokens_.expect_symbol(",");
  }
  return make(line, depth, std::move(entries));
}

expression_pointer expression_parser::postfix(expression_pointer object) {
  while (true) {
    if (tokens_.is_symbol(".")) {
      object = dotted(std::move(object));
    } else if (tokens_.is_symbol("[")) {
      object = bracketed(std::move(object));
    } else if (tokens_.is_symbol("(")) {
      object = call(std::move(object));
    } else {
      return object;
    }
  }
}

expression_pointer expression_parser::dotted(expression_pointer object) {
  const std::size_t line = tokens_.take().line;
  const std::size_t depth = depth_of(object);
  if (tokens_.is(token_kind::integer)) {
    expression_pointer index = primary();
    return make(line, depth, subscript_expression{std::move(object), std::move(index)});
  }
  std::string attribute = tokens_.expect_name("the name of an attribute");
  if (!tokens_.is_symbol("(")) return make(line, depth, attribute_expression{std::move(object), std::move(attribute)});
  const builtin_filter method = find_method(attribute);
  if (method == nullptr) fail(line, fmt::format("the method '{}' is not supported", attribute));
  argument_list given = arguments();
  const std::size_t all = std::max(depth, depth_of(given));
  return make(line, all, method_expression{std::move(object), std::move(attribute), method, std::move(given)});
}

expression_pointer expression_parser::bracketed(expression_pointer object) {
  const std::size_t line = tokens_.take().line;
  std::array<expression_pointer, 3> parts;  // of a slice; the first is the index of a subscript
  std::size_t colons = 0;
  while (!tokens_.take_symbol("]")) {
    if (tokens_.take_symbol(":")) {
      if (++colons > 2) fail(line, "a slice has at most two ':'");
    } else if (!parts[colons]) {
      parts[colons] = parse();
    } else {
      tokens_.unexpected("']'");
    }
  }
  const std::size_t depth = std::max({depth_of(object), depth_of(parts[0]), depth_of(parts[1]), depth_of(parts[2])});
  if (colons == 0 && !parts[0]) fail(line, "'[]' has no index");
  if (colons == 0) return make(line, depth, subscript_expression{std::move(object), std::move(parts[0])});
  return make(line, depth,
              slice_expression{std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])});
}

expression_pointer expression_parser::call(expression_pointer callee) {
  const auto* named = std::get_if<name_expression>(&callee->node);
  if (named == nullptr) fail(tokens_.line(), "only functions, macros and methods can be called");
  const std::size_t line = callee->line;
  const builtin_function function = find_function(named->name);
  if (function == nullptr) macro_calls_.emplace_back(named->name, line);
  argument_list given = arguments();
  const std::size_t depth = depth_of(given);
  return make(line, depth, call_expression{named->name, function, std::move(given)});
}

argument_list expression_parser::arguments() {
  tokens_.expect_symbol("(");
  argument_list result;
  while (!tokens_.take_symbol(")")) {
    if (tokens_.is_symbol("*") || tokens_.is_symbol("**"))
      fail(tokens_.line(), fmt::format("'{}' in arguments is not supported", tokens_.current().value));
    const bool by_name =
        tokens_.is(token_kind::name) && tokens_.ahead().kind == token_kind::symbol && tokens_.ahead().value == "=";
    if (by_name) {
      std::string parameter = tokens_.take().value;
      tokens_.take();
      result.named.emplace_back(std::move(parameter), parse());
    } else {
      if (!result.named.empty()) fail(tokens_.line(), "an argument without a name stands behind one with a name");
      result.positional.push_back(parse());
    }
    if (!tokens_.is_symbol(")")) tokens_.expect_symbol(",");
  }
  return result;
}

expression_pointer expression_parser::filters_and_tests(expression_pointer input) {
  while (true) {
    if (tokens_.take_symbol("|")) {
      input = filter(std::move(input));
    } else if (tokens_.take_name("is")) {
      input = test(std::move(input));
    } else {
      return input;
    }
  }
}

expression_pointer expression_parser::filter(expression_pointer input) {
  const std::size_t line = tokens_.line();
  std::string name = tokens_.expect_name("the name of a filter");
  const builtin_filter found = find_filter(name);
  if (found == nullptr) fail(line, fmt::format("the filter '{}' is not supported", name));
  argument_list given = tokens_.is_symbol("(") ? arguments() : argument_list{};
  const std::size_t depth = std::max(depth_of(input), depth_of(given));
  return make(line, depth, filter_expression{std::move(input), std::move(name), found, std::move(given)});
}

expression_pointer expression_parser::test(expression_pointer input) {
  const std::size_t line = tokens_.line();
  const bool negated = tokens_.take_name("not");
  std::string name = tokens_.expect_name("the name of a test");
  const builtin_test found = find_test(name);
  if (found == nullptr) fail(line, fmt::format("the test '{}' is not supported", name));
  argument_list given = test_arguments();
  const std::size_t depth = std::max(depth_of(input), depth_of(given));
  return make(line, depth, test_expression{std::move(input), std::move(name), found, std::move(given), negated});
}

// A test may have one argument without brackets: "is divisibleby 3".
argument_list expression_parser::test_arguments() {
  if (tokens_.is_symbol("(")) return arguments();
  argument_list result;
  const bool value_follows = tokens_.is(token_kind::string) || tokens_.is(token_kind::integer) ||
                             tokens_.is_symbol("[") || tokens_.is_symbol("{");
  const bool name_follows =
      tokens_.is(token_kind::name) && !tokens_.is_name("else") && !tokens_.is_name("or") && !tokens_.is_name("and");
  if (name_follows && tokens_.is_name("is")) fail(tokens_.line(), "tests cannot be chained with 'is'");
  if (value_follows || name_follows) result.positional.push_back(postfix(primary()));
  return result;
}

}  // namespace troupe::jinja
