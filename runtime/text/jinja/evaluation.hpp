// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/jinja/ast.hpp"
#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

/// The names that a part of a template sees: its own, then those around it.
struct scope {
  scope* outer = nullptr;
  std::vector<std::pair<std::string, value>> names = {};

  const value* find(std::string_view name) const;
  void assign(const std::string& name, value v);
};

/// One rendering of a template. Throws chat_template_error where the template fails or costs more than the limits.
class evaluation {
 public:
  /// `globals` are the names the template starts with; `now` is what strftime_now formats.
  evaluation(std::vector<std::pair<std::string, value>> globals, std::optional<std::tm> now);

  void define(const std::string& name, value v) { global_.assign(name, std::move(v)); }

  std::string run(const statement_list& statements);

  value evaluate(const expression& e);

  // ---- for the built-in functions, filters and tests ----

  /// Fails with the line that is being evaluated.
  [[noreturn]] void fail(const std::string& what) const;
  /// Counts what is about to be made against the limits.
  void charge(std::uint64_t steps);
  value make_string(std::string text);
  value make_list(std::vector<value> items);
  value make_mapping(std::vector<std::pair<std::string, value>> entries);
  /// Python's str() of a value. A list or mapping is refused: templates use tojson.
  std::string text_of(const value& v) const;
  /// What a `for` over the value yields.
  std::vector<value> items_of(const value& v);
  /// `object.name` and `object[name]`
  value attribute_of(const value& object, const std::string& name) const;
  /// `item in container`
  bool contains(const value& container, const value& item) const;
  const std::optional<std::tm>& now() const { return now_; }

 private:
  enum class flow : std::uint8_t { on, stop_loop, next_turn };
  class deeper;

  // Statements: each writes to out_.
  flow execute(const statement_list& statements);
  flow execute(const statement& s);
  flow run_statement(const text_statement& s);
  flow run_statement(const output_statement& s);
  flow run_statement(const set_statement& s);
  flow run_statement(const set_block_statement& s);
  flow run_statement(const if_statement& s);
  flow run_statement(const for_statement& s);
  flow run_statement(const std::shared_ptr<const macro_statement>& s);
  flow run_statement(const break_statement&) { return flow::stop_loop; }
  flow run_statement(const continue_statement&) { return flow::next_turn; }
  void assign_names(const std::vector<std::string>& names, const value& v);
  std::vector<value> loop_items(const for_statement& s);
  void write(std::string_view text);

  // Expressions
  value result_of(const literal_expression& e) { return e.constant; }
  value result_of(const name_expression& e);
  value result_of(const list_expression& e);
  value result_of(const mapping_expression& e);
  value result_of(const attribute_expression& e);
  value result_of(const subscript_expression& e);
  value result_of(const slice_expression& e);
  value result_of(const call_expression& e);
  value result_of(const method_expression& e);
  value result_of(const filter_expression& e);
  value result_of(const test_expression& e);
  value result_of(const unary_expression& e);
  value result_of(const binary_expression& e);
  value result_of(const comparison_expression& e);
  value result_of(const conditional_expression& e);
  value call_macro(const macro_statement& macro, const call_arguments& arguments);
  call_arguments evaluate(const argument_list& arguments);
  value loop_attribute(const loop_value& loop, const std::string& name) const;

  scope global_;
  scope* scope_ = &global_;
  std::optional<std::tm> now_;
  std::string out_;
  std::uint64_t steps_ = 0;
  std::size_t depth_ = 0;
  std::size_t calls_ = 0;
  std::size_t line_ = 1;
};

}  // namespace troupe::jinja
