// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace troupe {

/// A counter in memory that processes share, which others can sleep on. It wraps around; compare with `reached`.
struct alignas(64) wait_word {
  std::atomic<std::uint32_t> value{0};
  std::atomic<std::uint32_t> waiters{0};

  /// Makes everything written before visible to whoever reads the new value, and wakes the sleepers.
  void publish(std::uint32_t new_value);
  void wake();
  /// Sleeps until the value is no longer `seen`, a wake or the timeout; may return early.
  void sleep_while(std::uint32_t seen, std::chrono::nanoseconds timeout);
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

inline bool reached(std::uint32_t value, std::uint32_t target) {
  return static_cast<std::int32_t>(value - target) >= 0;
}

}  // namespace troupe
