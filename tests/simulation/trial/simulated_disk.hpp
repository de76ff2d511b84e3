// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe::simulation {

/// What of a node survives its process.
struct simulated_disk {
  std::uint64_t generation = 0;  ///< of the topology actor's last start
  bool full = false;
};

}  // namespace troupe::simulation
