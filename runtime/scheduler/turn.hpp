// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>

namespace troupe {

/// Whose turn comes first, everywhere the scheduler must choose: greater priority, then requests that wait to go on
/// (preempted or resumed: somebody watches their text stand still), then the order of arrival.
struct turn {
  std::int32_t priority = 0;
  bool resumed = false;       ///< has run before and waits; false for every running sequence
  std::uint64_t arrival = 0;  ///< different for each request

  friend bool operator==(const turn&, const turn&) = default;
  friend std::strong_ordering operator<=>(const turn& a, const turn& b) {
    if (const auto order = b.priority <=> a.priority; order != 0) return order;
    if (a.resumed != b.resumed) return a.resumed ? std::strong_ordering::less : std::strong_ordering::greater;
    return a.arrival <=> b.arrival;
  }
};

}  // namespace troupe
