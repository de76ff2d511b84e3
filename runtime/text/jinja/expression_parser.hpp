// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja/ast.hpp"
#include "runtime/text/jinja/token_stream.hpp"

namespace troupe::jinja {

/// Reads one expression, by Jinja2's precedence: `if else`, or, and, not, comparison, + -, ~, * // %, unary, `.` `[]`
/// `()`,
/// `|` and `is`.
class expression_parser {
 public:
  explicit expression_parser(token_stream& tokens) : tokens_(tokens) {}

  expression_pointer parse();
  /// As parse, but `a, b` is a list. What a `set` and a `for` take.
  expression_pointer parse_tuple();
  /// As parse, but an `if` is left alone: in a `for`, it belongs to the loop.
  expression_pointer parse_without_condition() { return disjunction(); }

  /// The calls of macros met so far, by name and line: the template may define them later.
  const std::vector<std::pair<std::string, std::size_t>>& macro_calls() const { return macro_calls_; }

 private:
  class nesting;

  expression_pointer disjunction();
  expression_pointer conjunction();
  expression_pointer negation();
  expression_pointer comparison();
  expression_pointer sum();
  expression_pointer concatenation();
  expression_pointer product();
  expression_pointer unary(bool with_filters);
  expression_pointer primary();
  expression_pointer name();
  expression_pointer string();
  expression_pointer parenthesized();
  expression_pointer list();
  expression_pointer mapping();
  expression_pointer postfix(expression_pointer object);
  expression_pointer dotted(expression_pointer object);
  expression_pointer bracketed(expression_pointer object);
  expression_pointer call(expression_pointer callee);
  expression_pointer filters_and_tests(expression_pointer input);
  expression_pointer filter(expression_pointer input);
  expression_pointer test(expression_pointer input);
  argument_list arguments();
  argument_list test_arguments();
  expression_pointer binary(binary_operator op, expression_pointer left, expression_pointer right);

  token_stream& tokens_;
  std::size_t depth_ = 0;
  std::vector<std::pair<std::string, std::size_t>> macro_calls_;
};

}  // namespace troupe::jinja
