// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "runtime/text/jinja/value.hpp"

namespace troupe::jinja {

class evaluation;

struct json_style {
  std::optional<std::int64_t> indent;  ///< spaces a level; nothing: one line
  bool ascii_only = false;
  bool sorted = false;
};

/// As Python's json.dumps writes a value.
std::string to_json(evaluation& run, const value& v, const json_style& style);

}  // namespace troupe::jinja
