// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/scheduler/expected_wait.hpp"
#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

/// What a request that comes now would have before it.
group_prospect load_before(const scheduler_state& state, const generation_request& request);

/// The request itself, as the others see it: blocks for its tokens and those that it is expected to make.
waiting_load load_of(const scheduler_state& state, const generation_request& request);

}  // namespace troupe
