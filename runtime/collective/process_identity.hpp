// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace troupe {

/// One process of this host, told apart from a later one that got the same number.
struct process_identity {
  std::int64_t pid = 0;
  std::uint64_t started = 0;  ///< clock ticks since boot; 0 when /proc does not say
  friend bool operator==(const process_identity&, const process_identity&) = default;
};

process_identity this_process();

/// A killed process that its parent has not yet collected counts as dead.
bool is_alive(const process_identity& process);

/// For error messages: "process 12 is running", "... is stopped", "... has died".
std::string describe(const process_identity& process);

}  // namespace troupe
