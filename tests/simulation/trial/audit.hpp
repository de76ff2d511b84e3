// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "actors/protocol.hpp"
#include "tests/simulation/world/process.hpp"

namespace troupe::simulation {

/// What the routers and groups of a cluster say they still hold.
struct audit {
  std::uint64_t nodes = 0;   ///< that have answered
  std::uint64_t asked = 0;   ///< groups
  std::uint64_t groups = 0;  ///< that have answered
  std::uint64_t live = 0;    ///< requests at routers
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t blocks_used = 0;

  /// What is not as it must be when all requests have ended; empty when all is well.
  std::string describe(std::size_t nodes_all) const;
};

/// Asks a node for its router's books and those of the groups, as `troupe status` does.
void start_audit(process& home, const node_actor& node, const std::shared_ptr<audit>& books);

}  // namespace troupe::simulation
