// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/give_way.hpp"

#include <cassert>
#include <utility>

namespace troupe {

void release(scheduler_state& state, sequence& leaving) {
  assert(leaving.steps_in_flight == 0);
  state.kv.close(leaving.table);
  state.ended.push_back(leaving.id);
  state.running.forget(leaving);
  leaving.phase = sequence_phase::gone;
}

void preempt(scheduler_state& state, sequence& victim) {
  ++state.totals.preemptions;
  victim.phase = sequence_phase::retiring;
  if (victim.steps_in_flight == 0) leave(state, victim);
}

void leave(scheduler_state& state, sequence& leaving) {
  const bool again = leaving.phase == sequence_phase::retiring;
  release(state, leaving);
  if (!again) return;
  leaving.turn.resumed = true;
  state.waiting.insert(leaving.turn, std::move(leaving.request));
}

bool make_room(scheduler_state& state, sequence& growing, std::uint32_t tokens) {
  while (!state.kv.grow(growing.table, tokens)) {
    if (state.running.any_leaving()) return false;  // their blocks are on the way
    auto* victim = state.running.last_running();
    preempt(state, *victim);
    if (victim == &growing || victim->phase != sequence_phase::gone) return false;
  }
  return true;
}

}  // namespace troupe
