// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "runtime/cache/kv_cache.hpp"
#include "runtime/scheduler/flight.hpp"
#include "runtime/scheduler/pace.hpp"
#include "runtime/scheduler/running_set.hpp"
#include "runtime/scheduler/scheduler_options.hpp"
#include "runtime/scheduler/scheduler_stats.hpp"
#include "runtime/scheduler/trial_state.hpp"
#include "runtime/scheduler/waiting_queue.hpp"

namespace troupe {

/// Everything the scheduler knows. The decisions (decode_turn, prefill_turn, admitter, give_way) are made on it, and
/// the checker reads it.
struct scheduler_state {
  explicit scheduler_state(scheduler_options given)
      : options(std::move(given)), kv(options.blocks, options.block_tokens, options.prefix_reuse) {}

  scheduler_options options;
  kv_cache kv;
  waiting_queue waiting;
  running_set running;
  trial_state trial;
  std::deque<flight> in_flight;    ///< oldest first
  std::vector<sequence_id> ended;  ///< sequences gone since the last plan, which the next plan tells the ranks
  scheduler_stats totals;          ///< the counters only
  troupe::pace pace;
  std::uint64_t arrivals = 0;
  std::uint64_t sequences = 0;
};

/// Throws invariant_error where two parts of the state contradict each other: the cache's blocks and the tables, a
/// sequence's positions and the plans in flight, the queue and the running set.
void check_invariants(const scheduler_state& state);

}  // namespace troupe
