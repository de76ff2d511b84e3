// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct yaml_entry;

/// A YAML document with the lines it was written on, and nothing of the library that read it.
struct yaml_tree {
  enum class kind { null, scalar, sequence, map };
  kind what = kind::null;
  int line = 1;
  std::string scalar;
  bool quoted = false;
  std::vector<yaml_tree> items;
  std::vector<yaml_entry> entries;  ///< in the file's order; a key written twice is here twice
};

struct yaml_entry {
  std::string key;
  int line = 1;  ///< of the key
  yaml_tree value;
};

/// The text is no YAML, or more of YAML than is read here.
class yaml_error : public std::runtime_error {
 public:
  yaml_error(int line, const std::string& what) : std::runtime_error(what), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

/// Reads one document: at most 16 levels deep and 65,536 values, without anchors, aliases and tags (an alias is how a
/// small file becomes a large one). Throws yaml_error.
yaml_tree parse_yaml(std::string_view text);

}  // namespace troupe
