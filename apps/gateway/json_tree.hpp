// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe {

struct json_entry;

/// A JSON document that came from outside, within bounds, and nothing of the library that read it.
struct json_tree {
  enum class kind { null, boolean, integer, real, text, array, object };
  kind what = kind::null;
  bool flag = false;
  bool negative = false;        ///< of an integer: `magnitude` is subtracted from 0
  std::uint64_t magnitude = 0;  ///< of an integer
  double number = 0;            ///< of an integer or a real
  std::string text;
  std::vector<json_tree> items;
  std::vector<json_entry> entries;  ///< in the text's order, each key once

  bool is_number() const { return what == kind::integer || what == kind::real; }
};

struct json_entry {
  std::string key;
  json_tree value;
};

/// Why a text was not read: what is wrong and what would be right.
struct json_refusal {
  std::string message;
};

/// Reads valid UTF-8 JSON of at most 32 levels, 10,000 keys (each once in its object), 400,000 values and 4 MiB a
/// string.
std::variant<json_tree, json_refusal> parse_json(std::string_view text);

/// "a number", "an object", ... for errors.
std::string_view describe(json_tree::kind what);

}  // namespace troupe
