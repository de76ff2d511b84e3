// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/evaluation.hpp"

#include <algorithm>
#include <utility>

#include "runtime/text/jinja/error.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/operators.hpp"

namespace troupe::jinja {

const value* scope::find(std::string_view name) const {
  for (const scope* s = this; s != nullptr; s = s->outer)
    for (const auto& [held, v] : s->names)
      if (held == name) return &v;
  return nullptr;
}

void scope::assign(const std::string& name, value v) {
  const auto held = std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.first == name; });
  if (held == names.end()) {
    names.emplace_back(name, std::move(v));
  } else {
    held->second = std::move(v);
  }
}

// Bounds how deep evaluation recurses, macros included.
class evaluation::deeper {
 public:
  explicit deeper(evaluation& run) : run_(run) {
    if (++run_.depth_ > evaluation_depth_max) run_.fail("the template is nested too deep");
  }
  ~deeper() { --run_.depth_; }
  deeper(const deeper&) = delete;
  deeper& operator=(const deeper&) = delete;

 private:
  evaluation& run_;
};

namespace {

// A scope for the time of a block; the one around it comes back even when the block fails.
class inner_scope {
 public:
  inner_scope(scope*& current, scope* outer) : current_(current), before_(current), own_{outer} { current_ = &own_; }
  ~inner_scope() { current_ = before_; }
  inner_scope(const inner_scope&) = delete;
  inner_scope& operator=(const inner_scope&) = delete;

 private:
  scope*& current_;
  scope* before_;
  scope own_;
};

}  // namespace

evaluation::evaluation(std::vector<std::pair<std::string, value>> globals, std::optional<std::tm> now)
    : global_{nullptr, std::move(globals)}, now_(now) {}

std::string evaluation::run(const statement_list& statements) {
  execute(statements);
  return std::move(out_);
}

void evaluation::fail(const std::string& what) const { jinja::fail(line_, what); }

void evaluation::charge(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ > steps_max) fail(fmt::format("rendering takes more than {} steps", steps_max));
}

// ---- statements ----

evaluation::flow evaluation::execute(const statement_list& statements) {
  for (const statement& s : statements)
    if (const flow f = execute(s); f != flow::on) return f;
  return flow::on;
}

evaluation::flow evaluation::execute(const statement& s) {
  const deeper guard(*this);
  charge(1);
  line_ = s.line;
  return std::visit([this](const auto& node) { return run_statement(node); }, s.node);
}

void evaluation::write(std::string_view text) {
  if (out_.size() + text.size() > output_bytes_max)
    fail(fmt::format("the text is longer than {} bytes", output_bytes_max));
  charge(text.size() / 64);
  out_ += text;
}

evaluation::flow evaluation::run_statement(const text_statement& s) {
  write(s.text);
  return flow::on;
}

evaluation::flow evaluation::run_statement(const output_statement& s) {
  write(text_of(evaluate(*s.content)));
  return flow::on;
}

void evaluation::assign_names(const std::vector<std::string>& names, const value& v) {
  if (names.size() == 1) {
    scope_->assign(names[0], v);
    return;
  }
  const std::vector<value> items = items_of(v);
  if (items.size() != names.size())
    fail(fmt::format("{} values cannot be given to {} names", items.size(), names.size()));
  for (std::size_t i = 0; i < names.size(); ++i)
    scope_->assign(names[i], items[i]);
}

evaluation::flow evaluation::run_statement(const set_statement& s) {
  value v = evaluate(*s.content);
  if (s.attribute.empty()) {
    assign_names(s.names, v);
    return flow::on;
  }
  const value* held = scope_->find(s.names[0]);
  if (held == nullptr || held->name_space() == nullptr)
    fail(fmt::format("'{}' is not a namespace, so '{}.{}' cannot be set", s.names[0], s.names[0], s.attribute));
  if (v.name_space() != nullptr || v.loop() != nullptr)
    fail(fmt::format("a {} cannot be in a namespace", v.type_name()));
  held->name_space()->assign(s.attribute, std::move(v));
  return flow::on;
}

evaluation::flow evaluation::run_statement(const set_block_statement& s) {
  std::string around = std::exchange(out_, {});
  {
    const inner_scope inner(scope_, scope_);
    execute(s.body);
  }
  scope_->assign(s.name, make_string(std::exchange(out_, std::move(around))));
  return flow::on;
}

evaluation::flow evaluation::run_statement(const if_statement& s) {
  for (const auto& branch : s.branches)
    if (!branch.condition || evaluate(*branch.condition).truthy()) return execute(branch.body);
  return flow::on;
}

std::vector<value> evaluation::loop_items(const for_statement& s) {
  std::vector<value> items = items_of(evaluate(*s.iterable));
  if (!s.condition) return items;
  std::vector<value> kept;
  for (const value& item : items) {
    const inner_scope inner(scope_, scope_);
    assign_names(s.names, item);
    if (evaluate(*s.condition).truthy()) kept.push_back(item);
  }
  return kept;
}

evaluation::flow evaluation::run_statement(const for_statement& s) {
  auto items = std::make_shared<list_value>();
  items->items = loop_items(s);
  if (items->items.empty()) {
    const inner_scope inner(scope_, scope_);
    return execute(s.otherwise);
  }
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    const inner_scope turn(scope_, scope_);
    scope_->assign("loop", value(std::make_shared<const loop_value>(loop_value{items, i})));
    assign_names(s.names, items->items[i]);
    if (execute(s.body) == flow::stop_loop) break;
  }
  return flow::on;
}

evaluation::flow evaluation::run_statement(const std::shared_ptr<const macro_statement>& s) {
  scope_->assign(s->name, macro_value{s.get()});
  return flow::on;
}

// ---- expressions ----

value evaluation::evaluate(const expression& e) {
  const deeper guard(*this);
  charge(1);
  line_ = e.line;
  return std::visit([this](const auto& node) { return result_of(node); }, e.node);
}

value evaluation::result_of(const name_expression& e) {
  if (const value* found = scope_->find(e.name)) return *found;
  const bool callable = find_function(e.name) != nullptr && (e.name != "strftime_now" || now_);
  return callable ? value(macro_value{}) : value(undefined_value{e.name});
}

value evaluation::result_of(const list_expression& e) {
  std::vector<value> items;
  for (const auto& item : e.items)
    items.push_back(evaluate(*item));
  return make_list(std::move(items));
}

value evaluation::result_of(const mapping_expression& e) {
  namespace_value unique;  // a later entry replaces an earlier one of the same key, in its place
  for (const auto& [key, item] : e.entries) {
    const value k = evaluate(*key);
    if (!k.is_string()) fail(fmt::format("the keys of a mapping are strings; this one is a {}", k.type_name()));
    unique.assign(k.string(), evaluate(*item));
  }
  return make_mapping(std::move(unique.entries));
}

value evaluation::result_of(const attribute_expression& e) { return attribute_of(evaluate(*e.object), e.name); }

value evaluation::result_of(const subscript_expression& e) {
  const value object = evaluate(*e.object);
  return subscript(*this, object, evaluate(*e.index));
}

value evaluation::result_of(const slice_expression& e) {
  const auto bound = [this](const expression_pointer& part) -> std::optional<std::int64_t> {
    if (!part) return std::nullopt;
    const value v = evaluate(*part);
    if (v.is_none()) return std::nullopt;
    if (!v.is_integer()) fail(fmt::format("a slice takes integers, not a {}", v.type_name()));
    return v.integer();
  };
  const value object = evaluate(*e.object);
  const auto begin = bound(e.begin);
  const auto end = bound(e.end);
  return slice(*this, object, begin, end, bound(e.step).value_or(1));
}

value evaluation::result_of(const call_expression& e) {
  const value* named = scope_->find(e.name);
  if (named != nullptr && named->macro() != nullptr) return call_macro(*named->macro(), evaluate(e.arguments));
  if (e.function != nullptr && named == nullptr) return e.function(*this, evaluate(e.arguments));
  fail(fmt::format("'{}' cannot be called", e.name));
}

value evaluation::result_of(const method_expression& e) {
  const value object = evaluate(*e.object);
  if (object.is_undefined()) fail(fmt::format("'{}' is undefined, so it has no '{}'", object.undefined_name(), e.name));
  return e.method(*this, object, evaluate(e.arguments));
}

value evaluation::result_of(const filter_expression& e) {
  const value input = evaluate(*e.input);
  return e.filter(*this, input, evaluate(e.arguments));
}

value evaluation::result_of(const test_expression& e) {
  const value input = evaluate(*e.input);
  return e.test(*this, input, evaluate(e.arguments)) != e.negated;
}

value evaluation::result_of(const unary_expression& e) { return apply(*this, e.op, evaluate(*e.operand)); }

value evaluation::result_of(const binary_expression& e) {
  const value left = evaluate(*e.left);
  if (e.op == binary_operator::logical_and) return left.truthy() ? evaluate(*e.right) : left;
  if (e.op == binary_operator::logical_or) return left.truthy() ? left : evaluate(*e.right);
  return apply(*this, e.op, left, evaluate(*e.right));
}

value evaluation::result_of(const comparison_expression& e) {
  value left = evaluate(*e.first);
  for (const auto& [op, operand] : e.rest) {
    value right = evaluate(*operand);
    if (!compare(*this, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

value evaluation::result_of(const conditional_expression& e) {
  if (evaluate(*e.condition).truthy()) return evaluate(*e.then);
  return e.otherwise ? evaluate(*e.otherwise) : value(undefined_value{"the other side of an 'if'"});
}

call_arguments evaluation::evaluate(const argument_list& arguments) {
  call_arguments result;
  for (const auto& e : arguments.positional)
    result.positional.push_back(evaluate(*e));
  for (const auto& [name, e] : arguments.named)
    result.named.emplace_back(name, evaluate(*e));
  return result;
}

value evaluation::call_macro(const macro_statement& macro, const call_arguments& arguments) {
  if (arguments.positional.size() > macro.parameters.size())
    fail(fmt::format("the macro '{}' takes {} arguments", macro.name, macro.parameters.size()));
  if (++calls_ > calls_max) fail(fmt::format("macros are called in one another more than {} times", calls_max));
  const inner_scope inner(scope_, &global_);
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& [name, otherwise] = macro.parameters[i];
    if (i < arguments.positional.size()) {
      scope_->assign(name, arguments.positional[i]);
    } else {
      scope_->assign(name, otherwise ? evaluate(*otherwise) : value(undefined_value{name}));
    }
  }
  for (const auto& argument : arguments.named) {
    const bool known = std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                   [&](const auto& parameter) { return parameter.first == argument.first; });
    if (!known) fail(fmt::format("the macro '{}' has no parameter '{}'", macro.name, argument.first));
    scope_->assign(argument.first, argument.second);
  }
  std::string around = std::exchange(out_, {});
  execute(macro.body);
  --calls_;
  return make_string(std::exchange(out_, std::move(around)));
}

}  // namespace troupe::jinja
