// SPDX-License-Identifier: Apache-2.0
#include "topology/yaml_section.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

namespace troupe {

namespace {

constexpr std::size_t problems_max = 20;

const char* describe(const yaml_tree& value) {
  switch (value.what) {
    case yaml_tree::kind::null:
      return "empty";
    case yaml_tree::kind::scalar:
      return "a single value";
    case yaml_tree::kind::sequence:
      return "a list";
    case yaml_tree::kind::map:
      return "a map";
  }
  return "unknown";
}

/// True when the whole of `text` is a decimal number that fits; rejects signs, spaces and other bases.
bool parse_number(std::string_view text, std::uint64_t& out) {
  const auto* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && rest == end;
}

bool parse_size(std::string_view text, std::uint64_t& out) {
  static constexpr std::pair<std::string_view, unsigned> units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  unsigned shift = 0;
  for (const auto& [unit, bits] : units)
    if (text.ends_with(unit)) {
      shift = bits;
      text.remove_suffix(unit.size());
      while (text.ends_with(' '))
        text.remove_suffix(1);
      break;
    }
  std::uint64_t count = 0;
  if (!parse_number(text, count) || count > (UINT64_MAX >> shift)) return false;
  out = count << shift;
  return true;
}

std::string format_size(std::uint64_t bytes) {
  static constexpr const char* units[] = {"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(units)) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, units[unit]);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? quote(key) : path + "." + quote(key);
}

}  // namespace

void problem_list::add(int line, std::string_view key, const std::string& text) {
  if (problems_.size() >= problems_max) return;
  auto where = line > 0 ? fmt::format("{}:{}", file_, line) : file_;
  problems_.push_back(key.empty() ? fmt::format("{}: {}", where, text) : fmt::format("{}: {}: {}", where, key, text));
}

yaml_section::yaml_section(const yaml_place& place, problem_list& problems) : place_(place), problems_(problems) {
  map_entries(place_, problems_);
}

const yaml_entry* yaml_section::find_entry(std::string_view key) const {
  for (const auto& entry : place_.value->entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

bool yaml_section::has(std::string_view key) const { return find_entry(key) != nullptr; }

yaml_place yaml_section::find(std::string_view key, need how) {
  known_.emplace_back(key);
  if (const auto* entry = find_entry(key)) return {&entry->value, join_path(place_.path, key), entry->line};
  if (how == need::required && place_.value->what == yaml_tree::kind::map)
    problems_.add(place_.line, join_path(place_.path, key), "is missing; it has no default");
  return {};
}

void yaml_section::wrong(std::string_view key, const std::string& text) {
  const auto* entry = find_entry(key);
  problems_.add(entry ? entry->line : place_.line, join_path(place_.path, key), text);
}

bool yaml_section::read_text(std::string_view key, std::string& out, need how) {
  auto found = find(key, how);
  if (!found.value) return false;
  if (!found.is_scalar() || found.text().empty()) {
    wrong(key, fmt::format("is {}; give one word or path", found.is_scalar() ? "empty" : describe(*found.value)));
    return false;
  }
  if (found.text().find('\0') != std::string::npos) {
    wrong(key, "holds a zero byte; leave it out");
    return false;
  }
  out = found.text();
  return true;
}

bool yaml_section::read_number(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most,
                               need how) {
  auto found = find(key, how);
  if (!found.value) return false;
  std::uint64_t number = 0;
  if (!found.is_scalar() || found.value->quoted || !parse_number(found.text(), number)) {
    wrong(key, fmt::format("is {}; give a whole number from {} to {}",
                           found.is_scalar() ? quote(found.text()) : describe(*found.value), least, most));
    return false;
  }
  if (number < least || number > most) {
    wrong(key, fmt::format("is {}; give a whole number from {} to {}", number, least, most));
    return false;
  }
  out = number;
  return true;
}

bool yaml_section::read_number(std::string_view key, std::uint32_t& out, std::uint64_t least, std::uint64_t most,
                               need how) {
  std::uint64_t wide = out;
  if (!read_number(key, wide, least, most, how)) return false;
  out = static_cast<std::uint32_t>(wide);
  return true;
}

bool yaml_section::read_size(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most) {
  auto found = find(key, need::optional);
  if (!found.value) return false;
  std::uint64_t bytes = 0;
  if (!found.is_scalar() || !parse_size(found.text(), bytes) || bytes < least || bytes > most) {
    wrong(key, fmt::format("is {}; give a size from {} to {}, such as 512MiB or 2GiB",
                           found.is_scalar() ? quote(found.text()) : describe(*found.value), format_size(least),
                           format_size(most)));
    return false;
  }
  out = bytes;
  return true;
}

bool yaml_section::read_flag(std::string_view key, bool& out) {
  auto found = find(key, need::optional);
  if (!found.value) return false;
  if (found.is_scalar() && !found.value->quoted && (found.text() == "true" || found.text() == "false")) {
    out = found.text() == "true";
    return true;
  }
  wrong(key,
        fmt::format("is {}; give true or false", found.is_scalar() ? quote(found.text()) : describe(*found.value)));
  return false;
}

std::size_t yaml_section::read_index(std::string_view key, const std::vector<std::string_view>& names) {
  auto found = find(key, need::optional);
  if (!found.value) return names.size();
  auto at = found.is_scalar() ? std::find(names.begin(), names.end(), found.text()) : names.end();
  if (at == names.end()) {
    std::vector<std::string> all(names.begin(), names.end());
    wrong(key, fmt::format("is {}; give {}", found.is_scalar() ? quote(found.text()) : describe(*found.value),
                           join_or(all)));
  }
  return static_cast<std::size_t>(at - names.begin());
}

void yaml_section::finish() {
  for (const auto& entry : place_.value->entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    auto meant = nearest_word(entry.key, known_);
    problems_.add(entry.line, join_path(place_.path, entry.key),
                  meant.empty() ? fmt::format("is no known key; the keys here are {}", fmt::join(known_, ", "))
                                : fmt::format("is no known key; {} is one", meant));
  }
}

std::vector<yaml_place> list_items(const yaml_place& place, problem_list& problems) {
  std::vector<yaml_place> out;
  if (!place.value) return out;
  if (place.value->what != yaml_tree::kind::sequence) {
    problems.add(place.line, place.path, fmt::format("is {}; give a list such as [x, y]", describe(*place.value)));
    return out;
  }
  for (const auto& item : place.value->items)
    out.push_back({&item, fmt::format("{}[{}]", place.path, out.size()), item.line});
  return out;
}

std::vector<std::pair<std::string, yaml_place>> map_entries(const yaml_place& place, problem_list& problems) {
  std::vector<std::pair<std::string, yaml_place>> out;
  if (!place.value) return out;
  if (place.value->what != yaml_tree::kind::map) {
    problems.add(place.line, place.path,
                 fmt::format("is {}; give a map such as {{key: value}}", describe(*place.value)));
    return out;
  }
  std::set<std::string_view> seen;
  for (const auto& entry : place.value->entries) {
    auto path = join_path(place.path, entry.key);
    if (seen.insert(entry.key).second)
      out.emplace_back(entry.key, yaml_place{&entry.value, path, entry.line});
    else
      problems.add(entry.line, path, "is there twice; keep one");
  }
  return out;
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& words) {
  if (word.size() > 64) return {};
  std::string best;
  auto best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const auto& candidate : words)
    if (auto distance = edit_distance(word, candidate); distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  return best;
}

std::string join_or(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i)
    out += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return out;
}

std::string quote(std::string_view text) {
  std::string out;
  for (auto c : text.substr(0, 64))
    out += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > 64 ? out + "..." : out;
}

}  // namespace troupe
