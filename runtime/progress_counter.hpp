// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace troupe {

/// How far an engine's thread has come, for a watcher on another thread. One thread advances, any may look.
class progress_counter {
 public:
  /// After each piece of work: a layer, a collective, a tensor loaded.
  void advance() noexcept { value_.fetch_add(1, std::memory_order_relaxed); }

  /// Around what waits for other ranks and does not advance meanwhile: they, and not this one, are late.
  void begin_wait() noexcept { waits_.store(true, std::memory_order_relaxed); }
  void end_wait(std::uint64_t waited_us) noexcept {
    waited_us_.fetch_add(waited_us, std::memory_order_relaxed);
    waits_.store(false, std::memory_order_relaxed);
    advance();
  }

  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
  std::uint64_t waited_us() const noexcept { return waited_us_.load(std::memory_order_relaxed); }
  bool waits() const noexcept { return waits_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  std::atomic<std::uint64_t> waited_us_{0};  ///< in all waits so far
  std::atomic<bool> waits_{false};
};

}  // namespace troupe
