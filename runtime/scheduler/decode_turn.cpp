// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/decode_turn.hpp"

#include <algorithm>
#include <vector>

#include "runtime/scheduler/give_way.hpp"

namespace troupe {

namespace {

std::size_t most_decodes(const scheduler_state& state, std::uint32_t budget) {
  std::size_t decoding = 0;
  bool prompt_waits = !state.waiting.empty();
  for (const auto& each : state.running.by_turn()) {
    if (each->phase != sequence_phase::running) continue;
    prompt_waits |= each->prefilling();
    decoding += each->prefilling() ? 0 : 1;
  }
  const auto prompts_part = prompt_waits ? std::max(1U, budget / 8) : 0;
  const auto by_budget = std::size_t{std::max(1U, budget - prompts_part)};
  if (state.options.feed_sampled) return by_budget;
  const auto batches = std::size_t{state.options.plans_in_flight};
  return std::min(by_budget, (decoding + batches - 1) / batches);
}

std::vector<sequence*> select(const scheduler_state& state, std::uint32_t budget) {
  std::vector<sequence*> ready;
  for (const auto& each : state.running.by_turn())
    if (each->can_decode(state.options.feed_sampled)) ready.push_back(each.get());
  if (const auto most = most_decodes(state, budget); ready.size() > most) {
    std::ranges::stable_sort(ready, {}, &sequence::last_step);
    ready.resize(most);
    std::ranges::sort(ready, {}, &sequence::turn);
  }
  return ready;
}

}  // namespace

void decode_turn(scheduler_state& state, plan_draft& draft) {
  // In the order of turns: who is preempted to make room comes after everyone who has been fed already.
  for (auto* each : select(state, draft.tokens_left()))
    if (each->phase == sequence_phase::running && make_room(state, *each, each->fed + 1)) draft.feed(*each, 1);
}

}  // namespace troupe
