// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace troupe {

/// One question for another machine's steady clock: the times of asking and of hearing are ours.
struct clock_sample {
  std::uint64_t asked_ns = 0;
  std::uint64_t theirs_ns = 0;
  std::uint64_t heard_ns = 0;
};

/// What to subtract from their time for ours, and by how much that may be wrong.
struct clock_offset {
  std::int64_t theirs_minus_ours_ns = 0;
  std::uint64_t uncertainty_ns = 0;
  friend bool operator==(const clock_offset&, const clock_offset&) = default;
};

/// From the shortest round trip: they read their clock somewhere within it, so half of it is the uncertainty.
/// Without a usable sample the uncertainty is the greatest number.
inline clock_offset estimate_offset(std::span<const clock_sample> samples) {
  clock_offset best{0, UINT64_MAX};
  for (const auto& sample : samples) {
    if (sample.heard_ns < sample.asked_ns) continue;
    auto half = (sample.heard_ns - sample.asked_ns + 1) / 2;
    if (half >= best.uncertainty_ns) continue;
    best = {static_cast<std::int64_t>(sample.theirs_ns - sample.asked_ns - half), half};
  }
  return best;
}

}  // namespace troupe
