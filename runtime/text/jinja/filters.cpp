// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "runtime/text/jinja/builtin.hpp"
#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/operators.hpp"
#include "runtime/text/jinja/python_text.hpp"
#include "runtime/text/jinja/replace_in.hpp"
#include "runtime/text/jinja/to_json.hpp"

namespace troupe::jinja {
namespace {

using arguments = call_arguments;

constexpr std::int64_t indent_max = 16;

value trim(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"chars"});
  const std::string text = run.text_of(v);
  if (!bound[0] || bound[0]->is_none()) return run.make_string(std::string(strip(text)));
  const std::string characters = run.text_of(*bound[0]);
  return run.make_string(std::string(strip(text, characters)));
}

value to_json_filter(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"ensure_ascii", "indent", "separators", "sort_keys"});
  if (bound[2] && !bound[2]->is_none()) run.fail("the argument 'separators' is not supported");
  json_style style;
  style.ascii_only = bound[0] && bound[0]->truthy();
  style.sorted = bound[3] && bound[3]->truthy();
  if (bound[1] && !bound[1]->is_none()) {
    if (!bound[1]->is_integer() || bound[1]->integer() < 0 || bound[1]->integer() > indent_max)
      run.fail(fmt::format("tojson indents by 0 to {}", indent_max));
    style.indent = bound[1]->integer();
  }
  return run.make_string(to_json(run, v, style));
}

value length(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  const auto count = [](std::size_t n) { return value(static_cast<std::int64_t>(n)); };
  if (v.is_string()) return count(length_in_characters(v.string()));
  if (const auto* list = v.list()) return count(list->items.size());
  if (const auto* mapping = v.mapping()) return count(mapping->entries.size());
  if (v.is_undefined()) return count(0);
  run.fail(fmt::format("a {} has no length", v.type_name()));
}

value string(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  return run.make_string(run.text_of(v));
}

template <std::string (*Map)(std::string_view)>
value map_text(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  return run.make_string(Map(run.text_of(v)));
}

value replace_filter(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"old", "new", "count"});
  if (!bound[0] || !bound[1]) run.fail("replace needs what to replace, and by what");
  const bool counted = bound[2] && !bound[2]->is_none();
  if (counted && !bound[2]->is_integer()) run.fail("replace needs an integer as count");
  return replace_in(run, run.text_of(v), run.text_of(*bound[0]), run.text_of(*bound[1]),
                    counted ? bound[2]->integer() : -1);
}

value first(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  const std::vector<value> items = run.items_of(v);
  return items.empty() ? value(undefined_value{"first"}) : items.front();
}

value last(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  const std::vector<value> items = run.items_of(v);
  return items.empty() ? value(undefined_value{"last"}) : items.back();
}

value list(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  return run.make_list(run.items_of(v));
}

value reverse(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  std::vector<value> items = run.items_of(v);
  std::reverse(items.begin(), items.end());
  if (!v.is_string()) return run.make_list(std::move(items));
  std::string text;
  for (const value& item : items)
    text += item.string();
  return run.make_string(std::move(text));
}

value default_filter(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"default_value", "boolean"});
  const bool replaces_false = bound[1] && bound[1]->truthy();
  if (v.is_undefined() || (replaces_false && !v.truthy())) return bound[0].value_or(value(""));
  return v;
}

value safe(evaluation& run, const value& v, const arguments& given) {
  bind(run, given, {});
  return run.make_string(run.text_of(v));  // nothing is escaped in a chat template
}

value items(evaluation& run, const value& v, const arguments& given) {
  if (v.is_undefined()) return run.make_list({});
  return find_method("items")(run, v, given);
}

// "a.b": the attribute b of the attribute a.
value attribute_at(evaluation& run, value v, const value& path) {
  if (path.is_integer()) return subscript(run, v, path);
  if (!path.is_string()) run.fail("the name of an attribute is a string");
  for (const std::string_view name : split(path.string(), ".", -1))
    v = run.attribute_of(v, std::string(name));
  return v;
}

value join(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"d", "attribute"});
  const std::string separator = bound[0] ? run.text_of(*bound[0]) : "";
  std::string joined;
  bool at_first = true;
  for (const value& item : run.items_of(v)) {
    if (!at_first) joined += separator;
    joined += run.text_of(bound[1] && !bound[1]->is_none() ? attribute_at(run, item, *bound[1]) : item);
    at_first = false;
    if (joined.size() > output_bytes_max) break;  // make_string refuses it
  }
  return run.make_string(std::move(joined));
}

// Keeps the items for which the test says `Keep`. The arguments: with Attribute its name, then the test's name and
// arguments; without a test the truth of the value decides.
template <bool Keep, bool Attribute>
value choose(evaluation& run, const value& v, const arguments& given) {
  arguments rest = given;
  std::optional<value> attribute;
  const auto take = [&rest] {
    value taken = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
    return taken;
  };
  if (Attribute && rest.positional.empty()) run.fail("the filter needs the name of an attribute");
  if (Attribute) attribute = take();
  builtin_test test = nullptr;
  if (!rest.positional.empty()) {
    const value name = take();
    test = name.is_string() ? find_test(name.string()) : nullptr;
    if (test == nullptr) run.fail(fmt::format("the test '{}' is not supported", run.text_of(name)));
  }
  std::vector<value> kept;
  for (const value& item : run.items_of(v)) {
    run.charge(1);
    const value looked_at = attribute ? attribute_at(run, item, *attribute) : item;
    if ((test != nullptr ? test(run, looked_at, rest) : looked_at.truthy()) == Keep) kept.push_back(item);
  }
  return run.make_list(std::move(kept));
}

value map_by_attribute(evaluation& run, const value& v, const arguments& given) {
  const auto bound = bind(run, given, {"attribute", "default"});
  std::vector<value> mapped;
  for (const value& item : run.items_of(v)) {
    run.charge(1);
    const value found = attribute_at(run, item, *bound[0]);
    mapped.push_back(found.is_undefined() && bound[1] ? *bound[1] : found);
  }
  return run.make_list(std::move(mapped));
}

value map(evaluation& run, const value& v, const arguments& given) {
  if (given.positional.empty()) {
    if (given.named.empty() || given.named[0].first != "attribute") run.fail("map needs a filter, or attribute='...'");
    return map_by_attribute(run, v, given);
  }
  const value& name = given.positional[0];
  const builtin_filter filter = name.is_string() ? find_filter(name.string()) : nullptr;
  if (filter == nullptr) run.fail(fmt::format("the filter '{}' is not supported", run.text_of(name)));
  if (filter == map) run.fail("map inside map is not supported");
  const arguments rest{{given.positional.begin() + 1, given.positional.end()}, given.named};
  std::vector<value> mapped;
  for (const value& item : run.items_of(v)) {
    run.charge(1);
    mapped.push_back(filter(run, item, rest));
  }
  return run.make_list(std::move(mapped));
}

struct entry {
  std::string_view name;
  builtin_filter filter;
};

constexpr std::array<entry, 23> filters = {{{"trim", trim},
                                            {"tojson", to_json_filter},
                                            {"length", length},
                                            {"count", length},
                                            {"string", string},
                                            {"upper", map_text<to_upper>},
                                            {"lower", map_text<to_lower>},
                                            {"capitalize", map_text<capitalize>},
                                            {"replace", replace_filter},
                                            {"first", first},
                                            {"last", last},
                                            {"list", list},
                                            {"reverse", reverse},
                                            {"default", default_filter},
                                            {"d", default_filter},
                                            {"safe", safe},
                                            {"items", items},
                                            {"join", join},
                                            {"select", choose<true, false>},
                                            {"reject", choose<false, false>},
                                            {"selectattr", choose<true, true>},
                                            {"rejectattr", choose<false, true>},
                                            {"map", map}}};

}  // namespace

builtin_filter find_filter(std::string_view name) {
  for (const entry& e : filters)
    if (e.name == name) return e.filter;
  return nullptr;
}

}  // namespace troupe::jinja
