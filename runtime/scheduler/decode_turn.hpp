// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/scheduler/plan_draft.hpp"
#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

/// Feeds one token of each sequence that can decode, before any prompt gets a share of the step: a long prompt never
/// delays a running answer. Where they are more than the step takes, those that have waited longest go first. While a
/// prompt waits an eighth of the token budget is left to it; without feed_sampled each of the `plans_in_flight`
/// micro-batches gets an equal part of the sequences, so that every stage of a pipeline has work.
void decode_turn(scheduler_state& state, plan_draft& draft);

}  // namespace troupe
