// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/scheduler/plan_draft.hpp"
#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

/// Shares what the decodes left of the step's token budget among the prompts, running or waiting:
///  - half of it is the first's, by turn, so every prompt gets through: it is the first one day;
///  - the rest goes by priority, then to the shortest, so a short prompt waits for no long one;
///  - what they do not need is the first's as well.
/// A waiting request is admitted when its share comes, not before: by then another may have written its prefix.
void prefill_turn(scheduler_state& state, plan_draft& draft);

}  // namespace troupe
