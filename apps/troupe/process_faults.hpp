// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "actors/fault_actions.hpp"

namespace troupe {

/// Signals and connections of this process, for its injector.
fault_actions process_faults();

}  // namespace troupe
