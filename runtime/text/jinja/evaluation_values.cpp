// SPDX-License-Identifier: Apache-2.0
// What an evaluation gives to the built-in functions: making values within the limits, and looking into them.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/text/jinja/evaluation.hpp"
#include "runtime/text/jinja/limits.hpp"
#include "runtime/text/jinja/python_text.hpp"

namespace troupe::jinja {

value evaluation::make_string(std::string text) {
  if (text.size() > output_bytes_max) fail(fmt::format("a string is longer than {} bytes", output_bytes_max));
  charge(text.size() / 64);
  return value(std::move(text));
}

value evaluation::make_list(std::vector<value> items) {
  auto list = std::make_shared<list_value>();
  for (const value& item : items) {
    if (item.name_space() != nullptr || item.loop() != nullptr)
      fail(fmt::format("a {} cannot be in a list", item.type_name()));
    list->depth = std::max(list->depth, item.depth() + 1);
  }
  if (list->depth > nesting_max) fail("a list is nested too deep");
  charge(items.size());
  list->items = std::move(items);
  return value(std::shared_ptr<const list_value>(std::move(list)));
}

value evaluation::make_mapping(std::vector<std::pair<std::string, value>> entries) {
  auto mapping = std::make_shared<mapping_value>();
  for (auto& [key, item] : entries) {
    if (item.name_space() != nullptr || item.loop() != nullptr)
      fail(fmt::format("a {} cannot be in a mapping", item.type_name()));
    mapping->depth = std::max(mapping->depth, item.depth() + 1);
  }
  if (mapping->depth > nesting_max) fail("a mapping is nested too deep");
  charge(entries.size());
  mapping->entries = std::move(entries);
  return value(std::shared_ptr<const mapping_value>(std::move(mapping)));
}

std::string evaluation::text_of(const value& v) const {
  if (v.is_string()) return v.string();
  if (v.is_undefined()) return {};
  if (v.is_none()) return "None";
  if (v.is_boolean()) return v.truthy() ? "True" : "False";
  if (v.is_integer()) return std::to_string(v.integer());
  fail(fmt::format("a {} cannot be written as text; the filter tojson can", v.type_name()));
}

std::vector<value> evaluation::items_of(const value& v) {
  std::vector<value> items;
  if (const auto* list = v.list()) {
    charge(list->items.size());
    items = list->items;
  } else if (const auto* mapping = v.mapping()) {
    charge(mapping->entries.size());
    for (const auto& entry : mapping->entries)
      items.emplace_back(entry.first);
  } else if (v.is_string()) {
    charge(v.string().size());
    for (const std::string_view character : characters_of(v.string()))
      items.emplace_back(character);
  } else if (!v.is_undefined()) {
    fail(fmt::format("a {} has no items", v.type_name()));
  }
  return items;
}

value evaluation::attribute_of(const value& object, const std::string& name) const {
  if (object.is_undefined()) fail(fmt::format("'{}' is undefined, so it has no '{}'", object.undefined_name(), name));
  const value* found = nullptr;
  if (const auto* mapping = object.mapping()) found = mapping->find(name);
  if (const auto* space = object.name_space()) found = space->find(name);
  if (const auto* loop = object.loop()) return loop_attribute(*loop, name);
  return found == nullptr ? value(undefined_value{name}) : *found;
}

value evaluation::loop_attribute(const loop_value& loop, const std::string& name) const {
  const auto number = [](std::size_t n) { return value(static_cast<std::int64_t>(n)); };
  const std::vector<value>& items = loop.items->items;
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "revindex") return number(items.size() - loop.index);
  if (name == "revindex0") return number(items.size() - loop.index - 1);
  if (name == "first") return loop.index == 0;
  if (name == "last") return loop.index + 1 == items.size();
  if (name == "length") return number(items.size());
  if (name == "depth") return number(1);
  if (name == "depth0") return number(0);
  if (name == "previtem" && loop.index > 0) return items[loop.index - 1];
  if (name == "nextitem" && loop.index + 1 < items.size()) return items[loop.index + 1];
  return undefined_value{"loop." + name};
}

bool evaluation::contains(const value& container, const value& item) const {
  if (container.is_string()) {
    if (!item.is_string()) fail(fmt::format("a {} cannot be in a string", item.type_name()));
    return container.string().find(item.string()) != std::string::npos;
  }
  if (const auto* mapping = container.mapping()) return item.is_string() && mapping->find(item.string()) != nullptr;
  if (const auto* list = container.list())
    return std::find(list->items.begin(), list->items.end(), item) != list->items.end();
  if (container.is_undefined()) return false;
  fail(fmt::format("'in' does not work on a {}", container.type_name()));
}

}  // namespace troupe::jinja
