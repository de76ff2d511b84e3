// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/fault/fault.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// The faults that wait for the engine of one rank. An injector adds and clears them, the engine's thread takes what is
/// due before each step.
class fault_script {
 public:
  void add(const fault& x);
  void clear();

  /// Those that wait or last.
  std::vector<fault> waiting() const;

  /// The faults that are due in `step`, when `sampled` tokens have been sampled before it. A slow one stays until its
  /// time is over, each other one is given once. Crashes by a token are none of these.
  std::vector<fault> take_due(std::uint64_t step, std::uint64_t sampled);

  /// The crash that a token of this plan brings about.
  std::optional<fault> find_poison(const step_plan& plan) const;

  /// Waits until `span` has passed, or clear() or wake() is called; 0: without end.
  void pause(std::chrono::nanoseconds span);

  /// Ends every pause and lets none begin.
  void wake();

 private:
  struct entry {
    fault what;
    bool begun = false;
    std::chrono::steady_clock::time_point end;  ///< of one that lasts, once begun
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<entry> entries_;
  std::uint64_t clearings_ = 0;
  bool awake_ = false;
};

}  // namespace troupe
