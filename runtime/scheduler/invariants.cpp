// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/invariants.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

namespace {

template <class... Args>
void require(bool holds, fmt::format_string<Args...> text, Args&&... args) {
  if (!holds) throw invariant_error("scheduler: " + fmt::format(text, std::forward<Args>(args)...));
}

/// What the plans in flight say of a sequence, walked from the oldest to the newest.
struct in_the_air {
  std::uint32_t steps = 0;
  std::uint32_t samples = 0;
  std::uint32_t next = 0;  // the position after the last one fed
};

using air_map = std::unordered_map<const sequence*, in_the_air>;

air_map walk_flights(const scheduler_state& state) {
  air_map air;
  auto step = state.totals.steps - state.in_flight.size();
  for (const auto& flight : state.in_flight) {
    require(flight.step == ++step, "step {} is in flight where step {} is due", flight.step, step);
    for (const auto& share : flight.shares) {
      auto& seen = air.try_emplace(share.fed, in_the_air{0, 0, share.fed->written}).first->second;
      require(share.position == seen.next, "sequence {} is fed at {} in step {}, after {}", share.fed->id.value,
              share.position, flight.step, seen.next);
      seen.next = share.end();
      seen.samples += share.sample ? 1 : 0;
      ++seen.steps;
    }
  }
  require(step == state.totals.steps, "step {} is the newest in flight of {}", step, state.totals.steps);
  return air;
}

void check_positions(const scheduler_state& state, const sequence& each, const in_the_air& air) {
  const auto id = each.id.value;
  require(each.steps_in_flight == air.steps, "sequence {} counts {} steps in flight of {}", id, each.steps_in_flight,
          air.steps);
  require(each.unseen == air.samples, "sequence {} counts {} unseen tokens of {}", id, each.unseen, air.samples);
  require(each.fed == air.next, "sequence {} is fed up to {} and its flights end at {}", id, each.fed, air.next);
  require(each.written <= each.fed, "sequence {} wrote {} of {} fed", id, each.written, each.fed);
  require(each.phase == sequence_phase::running || each.steps_in_flight > 0, "sequence {} left and is still here", id);
  require(each.phase != sequence_phase::gone, "sequence {} is gone and was not swept", id);
  if (each.phase == sequence_phase::ending) return;  // the tokens it drops are missing in its counts
  require(each.fed < each.length(), "sequence {} is fed up to {} of {}", id, each.fed, each.length());
  require(each.length() <= each.limit, "sequence {} has {} tokens of {}", id, each.length(), each.limit);
  require(each.known() < each.limit, "sequence {} is at its limit of {} and runs", id, each.limit);
  require(state.running.find(each.request.id) == &each, "request {} leads to another sequence", each.request.id.value);
  require(!state.waiting.contains(each.request.id), "request {} runs and waits", each.request.id.value);
}

void check_blocks(const scheduler_state& state, const sequence& each) {
  const auto blocks = each.table.blocks.size();
  require(blocks >= state.kv.blocks_for(each.fed) && blocks <= state.kv.blocks_for(std::max(each.fed, each.known())),
          "sequence {} has {} blocks for {} tokens fed", each.id.value, blocks, each.fed);
  require(each.table.path.size() <= each.written / state.options.block_tokens,
          "sequence {} shares {} blocks and wrote {} tokens", each.id.value, each.table.path.size(), each.written);
  for (std::size_t i = 0; i < each.table.path.size(); ++i)
    require(std::ranges::equal(
                state.kv.index().tokens(each.table.path[i]),
                std::span{each.request.tokens}.subspan(i * state.options.block_tokens, state.options.block_tokens)),
            "block {} of sequence {} is known under other tokens", i, each.id.value);
}

void check_running(const scheduler_state& state, const air_map& air) {
  const auto& running = state.running.by_turn();
  require(running.size() <= state.options.max_sequences, "{} sequences run of at most {}", running.size(),
          state.options.max_sequences);
  std::unordered_set<sequence_id> ids(state.ended.begin(), state.ended.end());
  require(ids.size() == state.ended.size(), "a sequence ended twice");
  for (std::size_t i = 0; i < running.size(); ++i) {
    const auto& each = *running[i];
    const auto seen = air.find(&each);
    check_positions(state, each, seen == air.end() ? in_the_air{0, 0, each.written} : seen->second);
    check_blocks(state, each);
    require(ids.insert(each.id).second, "sequence {} is there twice or has ended", each.id.value);
    require(i == 0 || running[i - 1]->turn < each.turn, "sequence {} is out of turn", each.id.value);
  }
}

}  // namespace

void check_invariants(const scheduler_state& state) {
  require(state.in_flight.size() <= state.options.plans_in_flight, "{} plans are in flight of at most {}",
          state.in_flight.size(), state.options.plans_in_flight);
  check_running(state, walk_flights(state));
  std::vector<const block_table*> tables;
  for (const auto& each : state.running.by_turn())
    tables.push_back(&each->table);
  check_invariants(state.kv, tables);
}

}  // namespace troupe
