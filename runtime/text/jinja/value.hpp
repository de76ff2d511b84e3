// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::jinja {

class value;
struct macro_statement;
struct list_value;
struct mapping_value;
struct namespace_value;
struct loop_value;

/// A name that has no value; it knows its name for the error message.
struct undefined_value {
  std::string name;
};
struct none_value {};
/// A macro of the template, or a built-in function (null), of which only the name can be called.
struct macro_value {
  const macro_statement* definition = nullptr;
};

/// What an expression of a template can be. Copying is cheap: strings, lists and mappings are shared and never change.
class value {
 public:
  value() : data_(none_value{}) {}
  value(undefined_value x) : data_(std::move(x)) {}
  value(bool x) : data_(x) {}
  value(std::int64_t x) : data_(x) {}
  value(std::string x) : data_(std::make_shared<const std::string>(std::move(x))) {}
  value(std::string_view x) : value(std::string(x)) {}
  value(const char* x) : value(std::string(x)) {}
  value(macro_value x) : data_(x) {}
  value(std::shared_ptr<const list_value> x) : data_(std::move(x)) {}
  value(std::shared_ptr<const mapping_value> x) : data_(std::move(x)) {}
  value(std::shared_ptr<namespace_value> x) : data_(std::move(x)) {}
  value(std::shared_ptr<const loop_value> x) : data_(std::move(x)) {}

  bool is_undefined() const { return std::holds_alternative<undefined_value>(data_); }
  bool is_none() const { return std::holds_alternative<none_value>(data_); }
  bool is_string() const { return std::holds_alternative<string_pointer>(data_); }
  bool is_boolean() const { return std::holds_alternative<bool>(data_); }
  /// As in Python, a boolean counts as an integer.
  bool is_integer() const { return std::holds_alternative<std::int64_t>(data_) || is_boolean(); }

  /// The following need a value of that kind.
  const std::string& undefined_name() const { return std::get<undefined_value>(data_).name; }
  const std::string& string() const { return *std::get<string_pointer>(data_); }
  std::int64_t integer() const { return is_boolean() ? std::get<bool>(data_) : std::get<std::int64_t>(data_); }

  /// Null when the value is of another kind.
  const macro_statement* macro() const {
    const auto* held = std::get_if<macro_value>(&data_);
    return held == nullptr ? nullptr : held->definition;
  }
  const list_value* list() const { return pointer<std::shared_ptr<const list_value>>(); }
  const mapping_value* mapping() const { return pointer<std::shared_ptr<const mapping_value>>(); }
  namespace_value* name_space() const { return pointer<std::shared_ptr<namespace_value>>(); }
  const loop_value* loop() const { return pointer<std::shared_ptr<const loop_value>>(); }

  /// "string", "list", ... for error messages.
  std::string_view type_name() const;
  bool truthy() const;
  /// How deep lists and mappings lie in one another; 0 for anything else.
  std::size_t depth() const;

  /// Python's ==.
  friend bool operator==(const value& a, const value& b);

 private:
  using string_pointer = std::shared_ptr<const std::string>;

  template <class Pointer>
  auto pointer() const -> decltype(std::declval<Pointer>().get()) {
    const auto* held = std::get_if<Pointer>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  std::variant<undefined_value, none_value, bool, std::int64_t, string_pointer, macro_value,
               std::shared_ptr<const list_value>, std::shared_ptr<const mapping_value>,
               std::shared_ptr<namespace_value>, std::shared_ptr<const loop_value>>
      data_;
};

/// A list or a tuple.
struct list_value {
  std::vector<value> items;
  std::size_t depth = 1;
};

/// Keys are strings and stay in the order in which they came.
struct mapping_value {
  std::vector<std::pair<std::string, value>> entries;
  std::size_t depth = 1;

  const value* find(std::string_view key) const;
};

/// The one thing that a template can change: `namespace(...)`.
struct namespace_value {
  std::vector<std::pair<std::string, value>> entries;

  const value* find(std::string_view key) const;
  void assign(std::string_view key, value v);
};

/// `loop` inside a for.
struct loop_value {
  std::shared_ptr<const list_value> items;
  std::size_t index = 0;  ///< from 0
};

}  // namespace troupe::jinja
