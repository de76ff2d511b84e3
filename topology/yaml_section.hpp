// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/yaml_tree.hpp"

namespace troupe {

/// Collects what is wrong with one file, as lines for a person. Keeps the first 20.
class problem_list {
 public:
  explicit problem_list(std::string file) : file_(std::move(file)) {}

  /// `text` says what is wrong and what would be right. Line 0: the file as a whole.
  void add(int line, std::string_view key, const std::string& text);
  bool empty() const { return problems_.empty(); }
  std::vector<std::string> take() { return std::move(problems_); }

 private:
  std::string file_;
  std::vector<std::string> problems_;
};

/// A value of the file and where it stands, for errors.
struct yaml_place {
  const yaml_tree* value = nullptr;
  std::string path;  ///< for example groups[0].tensor
  int line = 0;

  bool is_scalar() const { return value->what == yaml_tree::kind::scalar; }
  const std::string& text() const { return value->scalar; }
};

enum class need { required, optional };

/// One map of the file. A key is known once it was asked for; `finish` reports the others.
/// The read functions leave `out` alone when the key is absent or wrong, and report what is wrong.
class yaml_section {
 public:
  yaml_section(const yaml_place& place, problem_list& problems);

  const yaml_place& place() const { return place_; }

  /// The value of `key`, or one whose `value` is nullptr.
  yaml_place find(std::string_view key, need how);
  bool has(std::string_view key) const;

  bool read_text(std::string_view key, std::string& out, need how);
  bool read_number(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most,
                   need how = need::optional);
  bool read_number(std::string_view key, std::uint32_t& out, std::uint64_t least, std::uint64_t most,
                   need how = need::optional);
  /// A number of bytes, with or without a unit from KiB to TiB.
  bool read_size(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most);
  bool read_flag(std::string_view key, bool& out);

  template <class Choice>
  void read_choice(std::string_view key, Choice& out, std::initializer_list<std::pair<std::string_view, Choice>> all) {
    std::vector<std::string_view> names;
    for (const auto& [name, choice] : all)
      names.push_back(name);
    if (auto index = read_index(key, names); index < names.size()) out = (all.begin() + index)->second;
  }

  /// Reports a problem with a key that is there.
  void wrong(std::string_view key, const std::string& text);

  /// Call last: reports the keys that nobody asked for.
  void finish();

 private:
  std::size_t read_index(std::string_view key, const std::vector<std::string_view>& names);
  const yaml_entry* find_entry(std::string_view key) const;

  yaml_place place_;
  problem_list& problems_;
  std::vector<std::string> known_;
};

/// The values of a list; reports a problem when it is none.
std::vector<yaml_place> list_items(const yaml_place& place, problem_list& problems);
/// The entries of a map in the file's order; reports a problem when it is none, and keys that are there twice.
std::vector<std::pair<std::string, yaml_place>> map_entries(const yaml_place& place, problem_list& problems);

/// The word of `words` that `word` was probably meant to be, or an empty string.
std::string nearest_word(std::string_view word, const std::vector<std::string>& words);
/// "a, b or c".
std::string join_or(const std::vector<std::string>& words);
/// Hostile text in an error: one line of printable ASCII, at most 64 bytes and an ellipsis.
std::string quote(std::string_view text);

}  // namespace troupe
