// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/value.hpp"

#include <algorithm>
#include <array>

namespace troupe::jinja {
namespace {

template <class Entries>
auto* find_entry(Entries& entries, std::string_view key) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == key; });
  return found == entries.end() ? nullptr : &found->second;
}

bool equal_mappings(const mapping_value& a, const mapping_value& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const value* other = b.find(entry.first);
    return other != nullptr && *other == entry.second;
  });
}

}  // namespace

const value* mapping_value::find(std::string_view key) const { return find_entry(entries, key); }
const value* namespace_value::find(std::string_view key) const { return find_entry(entries, key); }

void namespace_value::assign(std::string_view key, value v) {
  if (value* held = find_entry(entries, key)) {
    *held = std::move(v);
  } else {
    entries.emplace_back(key, std::move(v));
  }
}

std::string_view value::type_name() const {
  static constexpr std::array<std::string_view, 10> names = {"undefined", "none", "boolean", "integer",   "string",
                                                             "function",  "list", "mapping", "namespace", "loop"};
  return names[data_.index()];
}

bool value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_integer()) return integer() != 0;
  if (is_string()) return !string().empty();
  if (const auto* l = list()) return !l->items.empty();
  if (const auto* m = mapping()) return !m->entries.empty();
  return true;
}

std::size_t value::depth() const {
  if (const auto* l = list()) return l->depth;
  if (const auto* m = mapping()) return m->depth;
  return 0;
}

bool operator==(const value& a, const value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_string()) return a.string() == b.string();
  if (const auto* l = a.list()) return l->items == b.list()->items;
  if (const auto* m = a.mapping()) return equal_mappings(*m, *b.mapping());
  if (a.macro() != nullptr) return a.macro() == b.macro();
  if (a.name_space() != nullptr) return a.name_space() == b.name_space();
  if (a.loop() != nullptr) return a.loop() == b.loop();
  return true;  // none, undefined
}

}  // namespace troupe::jinja
