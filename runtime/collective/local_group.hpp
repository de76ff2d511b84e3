// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"

namespace troupe {

/// All communicators of one group at once, in rank order, to be handed to the threads of this process.
/// Uses name, size, deadline and send_ahead_bytes of the options.
std::vector<std::unique_ptr<communicator>> make_local_group(communicator_options options);

}  // namespace troupe
