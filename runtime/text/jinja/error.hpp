// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace troupe {

/// A chat template that cannot be used, or a conversation that it refuses. The message names the construct and its
/// line.
class chat_template_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace jinja {

[[noreturn]] inline void fail(std::size_t line, const std::string& what) {
  throw chat_template_error(fmt::format("chat template, line {}: {}", line, what));
}

}  // namespace jinja
}  // namespace troupe
