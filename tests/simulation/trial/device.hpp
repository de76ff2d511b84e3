// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "actors/engine_rank.hpp"
#include "tests/simulation/trial/observer.hpp"
#include "tests/simulation/world/process.hpp"

namespace troupe::simulation {

/// Where the ranks of a group meet in a step: nobody gets through before all have come, as in a collective.
class meeting_place {
 public:
  explicit meeting_place(timeline& time) : time_(time) {}

  using place = std::tuple<std::string, std::uint64_t, std::uint64_t>;  ///< group, epoch, step
  /// `go` is called `duration` after the last of `size` ranks has come; never when one stays away.
  void come(const place& where, std::uint32_t rank, std::size_t size, span duration, std::function<void()> go);

 private:
  struct waiting {
    std::set<std::uint32_t> ranks;
    std::vector<std::pair<span, std::function<void()>>> go;
  };
  timeline& time_;
  std::map<place, waiting> meetings_;
};

/// What can be wrong with a rank's device. Changed by faults while it runs.
struct device_health {
  bool hung = false;
  bool failing = false;  ///< the next step throws
  std::uint64_t slower = 1;
};

struct device_options {
  std::string node;
  std::string device;
  std::uint32_t blocks = 64;
  std::uint32_t block_tokens = 4;
  std::uint64_t vocabulary = 1024;
  span step{};
  span load{};
  span collective_timeout{};
};

/// A rank's engine with a device that takes simulated time: the product's engine_rank behind an actor that hands it
/// each step when the device would have finished it.
engine_rank_actor spawn_device(process& home, meeting_place& meetings, observer& watcher,
                               std::shared_ptr<device_health> health, device_options options);

}  // namespace troupe::simulation
