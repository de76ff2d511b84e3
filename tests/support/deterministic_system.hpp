// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/system_config.hpp"

namespace troupe {

/// An actor system in which nothing happens by itself: messages are handled one at a time when the test says so, and
/// time stands still until it is advanced. What an actor would do in an hour takes microseconds.
class deterministic_system {
 public:
  deterministic_system()
      : system(testing(config)), coordinator_(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {}
  ~deterministic_system() {
    while (coordinator_.run() > 0) {
    }
  }

  /// Handles messages until there are none.
  void settle() {
    while (coordinator_.run() > 0) {
    }
  }

  /// Lets `span` pass in steps of 50 ms, handling what comes due.
  void pass(std::chrono::milliseconds span) {
    constexpr std::chrono::milliseconds step{50};
    settle();
    for (auto passed = step; passed <= span; passed += step) {
      coordinator_.advance_time(step);
      settle();
    }
  }

  /// Lets `span` pass inside the handling of a message, as work does that takes so long; nothing comes due by it yet.
  void work_for(std::chrono::milliseconds span) { coordinator_.clock().current_time += span; }

  /// Handles messages one at a time until `reached` holds. False when none were left first.
  template <class Predicate>
  bool run_until(Predicate reached) {
    while (!reached())
      if (!coordinator_.try_run_once()) return false;
    return true;
  }

 private:
  static caf::actor_system_config& testing(system_config& config) {
    config.set("caf.scheduler.policy", "testing");
    return config;
  }

  system_config config{{.network = false, .threads = 0}};

 public:
  caf::actor_system system;

 private:
  caf::scheduler::test_coordinator& coordinator_;
};

}  // namespace troupe
