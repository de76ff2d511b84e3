// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <fmt/format.h>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/python_text.hpp"
#include "runtime/text/jinja/replace_in.hpp"

namespace troupe::jinja {
namespace {

using arguments = call_arguments;

const std::string& need_string(evaluation& run, const value& v) {
  if (!v.is_string()) run.fail(fmt::format("a {} has no such method; a string has", v.type_name()));
  return v.string();
}

const mapping_value& need_mapping(evaluation& run, const value& v) {
  if (v.mapping() == nullptr) run.fail(fmt::format("a {} has no such method; a mapping has", v.type_name()));
  return *v.mapping();
}

std::string_view string_argument(evaluation& run, const std::optional<value>& v) {
  if (!v || !v->is_string()) run.fail("the method needs a string as argument");
  return v->string();
}

std::optional<std::string_view> optional_string(evaluation& run, const std::optional<value>& v) {
  if (!v || v->is_none()) return std::nullopt;
  return string_argument(run, v);
}

std::int64_t optional_integer(evaluation& run, const std::optional<value>& v, std::int64_t otherwise) {
  if (!v) return otherwise;
  if (!v->is_integer()) run.fail(fmt::format("the method needs an integer, not a {}", v->type_name()));
  return v->integer();
}

using strip_function = std::string_view (*)(std::string_view, std::optional<std::string_view>);

template <strip_function Strip>
value strip_method(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"chars"});
  return run.make_string(std::string(Strip(need_string(run, v), optional_string(run, bound[0]))));
}

value split_method(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"sep", "maxsplit"});
  const auto separator = optional_string(run, bound[0]);
  if (separator && separator->empty()) run.fail("split with an empty separator");
  run.charge(need_string(run, v).size() / 2);
  std::vector<value> parts;
  for (const std::string_view part : split(v.string(), separator, optional_integer(run, bound[1], -1)))
    parts.emplace_back(part);
  return run.make_list(std::move(parts));
}

value starts_with(evaluation& run, const value& v, const arguments& given) {
  return need_string(run, v).starts_with(string_argument(run, bind(run, given, {"prefix"})[0]));
}

value ends_with(evaluation& run, const value& v, const arguments& given) {
  return need_string(run, v).ends_with(string_argument(run, bind(run, given, {"suffix"})[0]));
}

value replace_method(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"old", "new", "count"});
  return replace_in(run, need_string(run, v), string_argument(run, bound[0]), string_argument(run, bound[1]),
                    optional_integer(run, bound[2], -1));
}

value join_method(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"iterable"});
  const std::string& separator = need_string(run, v);
  std::string joined;
  bool first = true;
  for (const value& item : run.items_of(bound[0].value_or(undefined_value{"iterable"}))) {
    if (!first) joined += separator;
    joined += need_string(run, item);
    first = false;
    if (joined.size() > output_bytes_max) break;  // make_string refuses it
  }
  return run.make_string(std::move(joined));
}

value get_method(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"key", "default"});
  const value* found = need_mapping(run, v).find(string_argument(run, bound[0]));
  return found != nullptr ? *found : bound[1].value_or(value());
}

value items_method(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  std::vector<value> items;
  for (const auto& [key, item] : need_mapping(run, v).entries)
    items.push_back(run.make_list({value(key), item}));
  return run.make_list(std::move(items));
}

value keys_method(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  need_mapping(run, v);
  return run.make_list(run.items_of(v));
}

value values_method(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  std::vector<value> items;
  for (const auto& [key, item] : need_mapping(run, v).entries)
    items.push_back(item);
  return run.make_list(std::move(items));
}

template <std::string (*Map)(std::string_view)>
value map_method(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  return run.make_string(Map(need_string(run, v)));
}

struct entry {
  std::string_view name;
  builtin_filter method;
};

constexpr std::array<entry, 15> methods = {{{"strip", strip_method<strip>},
                                            {"lstrip", strip_method<strip_left>},
                                            {"rstrip", strip_method<strip_right>},
                                            {"split", split_method},
                                            {"startswith", starts_with},
                                            {"endswith", ends_with},
                                            {"replace", replace_method},
                                            {"join", join_method},
                                            {"upper", map_method<to_upper>},
                                            {"lower", map_method<to_lower>},
                                            {"capitalize", map_method<capitalize>},
                                            {"get", get_method},
                                            {"items", items_method},
                                            {"keys", keys_method},
                                            {"values", values_method}}};

}  // namespace

builtin_filter find_method(std::string_view name) {
  for (const entry& e : methods)
    if (e.name == name) return e.method;
  return nullptr;
}

}  // namespace troupe::jinja
