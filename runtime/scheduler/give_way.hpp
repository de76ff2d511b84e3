// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

/// Takes the blocks of a sequence that no step in flight uses.
void release(scheduler_state& state, sequence& leaving);

/// Puts the sequence's request back in the queue with all its tokens; its blocks are free now, or once its steps in
/// flight are done.
void preempt(scheduler_state& state, sequence& victim);

/// Called when the last step in flight of a sequence is done and it is not running any more.
void leave(scheduler_state& state, sequence& leaving);

/// Gives `growing` blocks for its first `tokens` tokens, preempting others (the last turn first) and in the end itself.
/// False: not in this step.
bool make_room(scheduler_state& state, sequence& growing, std::uint32_t tokens);

}  // namespace troupe
