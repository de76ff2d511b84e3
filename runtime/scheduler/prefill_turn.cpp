// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/prefill_turn.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "runtime/scheduler/admitter.hpp"

namespace troupe {

namespace {

constexpr std::size_t waiting_looked_at = 64;

struct candidate {
  turn key;
  std::uint32_t tokens = 0;     // left to feed; for a waiting one an upper bound
  sequence* running = nullptr;  // null: waits
};

/// In the order of turns.
std::vector<candidate> gather(const scheduler_state& state, bool has_slot) {
  std::vector<candidate> all;
  for (const auto& each : state.running.by_turn())
    if (each->phase == sequence_phase::running && each->prefilling())
      all.push_back({each->turn, each->known() - each->fed, each.get()});
  if (has_slot) {
    auto left = waiting_looked_at;
    if (state.trial.phase == trial_phase::running)
      left = state.running.empty() ? 1 : 0;  // the suspect has the first turn
    for (const auto& [key, waiting] : state.waiting) {
      if (left-- == 0) break;
      all.push_back({key, static_cast<std::uint32_t>(waiting.request.tokens.size())});
    }
  }
  std::ranges::sort(all, {}, &candidate::key);
  return all;
}

class sharing {
 public:
  sharing(scheduler_state& state, plan_draft& draft) : state_(state), draft_(draft), admitter_(state, draft) {}

  void run() {
    if (draft_.tokens_left() == 0) return;
    auto candidates = gather(state_, admitter_.has_slot());
    const auto first = std::ranges::find_if(candidates, [this](auto& each) { return is_running(each); });
    if (first == candidates.end()) return;
    auto* const first_sequence = first->running;
    candidates.erase(first);
    const auto kept = std::min(share(*first_sequence), (draft_.tokens_left() + 1) / 2);
    feed_shortest(candidates, kept);
    draft_.feed(*first_sequence, std::min(share(*first_sequence), draft_.tokens_left()));
  }

 private:
  bool is_running(candidate& each) {
    if (each.running == nullptr) each.running = admitter_.try_admit(each.key);
    return each.running != nullptr;
  }

  void feed_shortest(std::vector<candidate>& candidates, std::uint32_t kept) {
    std::ranges::sort(candidates, {}, [](const auto& each) {
      return std::tuple(-std::int64_t{each.key.priority}, each.tokens, each.key);
    });
    for (auto& each : candidates) {
      if (draft_.tokens_left() <= kept) return;
      if (is_running(each)) draft_.feed(*each.running, std::min(share(*each.running), draft_.tokens_left() - kept));
    }
  }

  std::uint32_t share(const sequence& fed) const {
    const auto left = fed.known() - fed.fed;
    return state_.options.max_chunk_tokens == 0 ? left : std::min(left, state_.options.max_chunk_tokens);
  }

  scheduler_state& state_;
  plan_draft& draft_;
  admitter admitter_;
};

}  // namespace

void prefill_turn(scheduler_state& state, plan_draft& draft) { sharing(state, draft).run(); }

}  // namespace troupe
