// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

struct expression;
using expression_pointer = std::unique_ptr<const expression>;

struct argument_list {
  std::vector<expression_pointer> positional;
  std::vector<std::pair<std::string, expression_pointer>> named;
};

struct literal_expression {
  value constant;
};
struct name_expression {
  std::string name;
};
struct list_expression {
  std::vector<expression_pointer> items;
};
struct mapping_expression {
  std::vector<std::pair<expression_pointer, expression_pointer>> entries;
};
/// `object.name`
struct attribute_expression {
  expression_pointer object;
  std::string name;
};
/// `object[index]`
struct subscript_expression {
  expression_pointer object;
  expression_pointer index;
};
/// `object[begin:end:step]`; each part may be null
struct slice_expression {
  expression_pointer object;
  expression_pointer begin;
  expression_pointer end;
  expression_pointer step;
};
/// `name(...)`: a macro when `function` is null
struct call_expression {
  std::string name;
  builtin_function function = nullptr;
  argument_list arguments;
};
/// `object.name(...)`
struct method_expression {
  expression_pointer object;
  std::string name;
  builtin_filter method;
  argument_list arguments;
};
/// `input | name(...)`
struct filter_expression {
  expression_pointer input;
  std::string name;
  builtin_filter filter;
  argument_list arguments;
};
/// `input is [not] name(...)`
struct test_expression {
  expression_pointer input;
  std::string name;
  builtin_test test;
  argument_list arguments;
  bool negated = false;
};
enum class unary_operator : std::uint8_t { negate, plus, logical_not };
struct unary_expression {
  unary_operator op;
  expression_pointer operand;
};
enum class binary_operator : std::uint8_t {
  add,
  subtract,
  multiply,
  floor_divide,
  modulo,
  concatenate,
  logical_and,
  logical_or
};
struct binary_expression {
  binary_operator op;
  expression_pointer left;
  expression_pointer right;
};
enum class comparison_operator : std::uint8_t {
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};
/// `first op operand op operand ...`, as Python chains them
struct comparison_expression {
  expression_pointer first;
  std::vector<std::pair<comparison_operator, expression_pointer>> rest;
};
/// `then if condition else otherwise`; `otherwise` may be null
struct conditional_expression {
  expression_pointer condition;
  expression_pointer then;
  expression_pointer otherwise;
};

struct expression {
  using node_type =
      std::variant<literal_expression, name_expression, list_expression, mapping_expression, attribute_expression,
                   subscript_expression, slice_expression, call_expression, method_expression, filter_expression,
                   test_expression, unary_expression, binary_expression, comparison_expression, conditional_expression>;
  node_type node;
  std::size_t line = 0;
  std::size_t depth = 1;  ///< of the tree from here down
};

struct statement;
using statement_list = std::vector<statement>;

struct text_statement {
  std::string text;
};
struct output_statement {
  expression_pointer content;
};
/// `set a = ...`, `set a, b = ...`, or `set name.attribute = ...` with a namespace
struct set_statement {
  std::vector<std::string> names;
  std::string attribute;  ///< empty: the names themselves
  expression_pointer content;
};
/// `set name` ... `endset`
struct set_block_statement {
  std::string name;
  statement_list body;
};
struct if_statement {
  struct branch {
    expression_pointer condition;  ///< null: else
    statement_list body;
  };
  std::vector<branch> branches;
};
struct for_statement {
  std::vector<std::string> names;
  expression_pointer iterable;
  expression_pointer condition;  ///< may be null
  statement_list body;
  statement_list otherwise;
};
struct macro_statement {
  std::string name;
  std::vector<std::pair<std::string, expression_pointer>> parameters;  ///< with the default, or null
  statement_list body;
};
struct break_statement {};
struct continue_statement {};

struct statement {
  std::variant<text_statement, output_statement, set_statement, set_block_statement, if_statement, for_statement,
               std::shared_ptr<const macro_statement>, break_statement, continue_statement>
      node;
  std::size_t line = 0;
};

}  // namespace troupe::jinja
