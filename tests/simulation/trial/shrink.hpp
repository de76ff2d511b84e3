// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/simulation/trial/trial_options.hpp"

namespace troupe::simulation {

struct shrunk {
  trial_options options;
  std::uint64_t runs = 0;
  std::uint64_t faults = 0;  ///< that are left
};

/// The least of a failing run that still breaks the same invariant: whole classes of faults are switched off, the run
/// is cut short, requests are taken away, the network is made plain, then single faults are left out.
shrunk shrink(const trial_options& failing, const std::string& invariant);

}  // namespace troupe::simulation
