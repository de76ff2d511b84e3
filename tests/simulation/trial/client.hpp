// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/simulation/trial/observer.hpp"
#include "tests/simulation/trial/trial_options.hpp"
#include "tests/simulation/world/world.hpp"

namespace troupe::simulation {

/// A client process: reaches a node, asks for its router, submits its share of the requests at their times, reads
/// answers at its own pace, cancels some. It lives on a host of its own.
process& start_client(world& where, observer& watcher, const trial_options& options, std::uint64_t number);

}  // namespace troupe::simulation
