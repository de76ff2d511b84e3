// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/progress_counter.hpp"

namespace troupe {

struct progress_watch_options {
  std::chrono::milliseconds hang_timeout{2000};         ///< without progress; more where longer intervals were seen
  std::chrono::milliseconds first_step_timeout{20000};  ///< until the first step is done
  std::chrono::milliseconds load_timeout{300'000};      ///< between two signs of progress while joining and loading
  /// While it waits for other ranks, whose own watch or the collective's deadline ends it first.
  std::chrono::milliseconds wait_timeout{30'000};
};

/// Says when an engine is hung: work is pending and its counter has not moved for too long. Time that the watcher
/// itself did not look (its process was stopped, the machine was busy) does not count, so a pause of the whole process
/// is no hang of its engine. An idle engine is never hung. `now` is any steady clock.
class progress_watch {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// The watcher looks this often while work is pending.
  static constexpr std::chrono::milliseconds look_interval{100};

  progress_watch(std::shared_ptr<const progress_counter> counter, progress_watch_options options);

  void begin_load(time_point now);
  void end_load(time_point now);
  /// The engine was given a step.
  void begin_step(std::uint64_t step, time_point now);
  /// The engine has done a step.
  void end_step(time_point now);

  bool pending() const { return loading_ || steps_ > 0; }

  /// Why the engine is hung, as a sentence; empty when it is well. Call every look_interval while work is pending.
  std::string look(time_point now);

 private:
  void restart(time_point now);
  duration patience() const;

  std::shared_ptr<const progress_counter> counter_;
  progress_watch_options options_;
  bool loading_ = false;
  bool warm_ = false;            ///< a step was done
  std::uint64_t steps_ = 0;      ///< given and not done
  std::uint64_t last_step_ = 0;  ///< given
  std::uint64_t seen_ = 0;       ///< the counter when it was last seen to move
  duration silent_{};            ///< looked at without a move since then
  duration longest_{};           ///< time between moves, of all that ended
  time_point looked_;
};

}  // namespace troupe
