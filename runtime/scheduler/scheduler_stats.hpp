// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// Levels now, and totals since the scheduler was made.
struct scheduler_stats {
  std::uint64_t waiting = 0;        ///< requests without blocks
  std::uint64_t running = 0;        ///< sequences that hold blocks
  std::uint64_t in_flight = 0;      ///< plans whose result is not known
  std::uint64_t blocks_free = 0;    ///< hold nothing
  std::uint64_t blocks_cached = 0;  ///< hold a prefix that no sequence uses; taken when the free ones run out
  std::uint64_t blocks_used = 0;
  std::uint64_t steps = 0;                 ///< plans made
  std::uint64_t tokens_planned = 0;        ///< fed by these plans
  std::uint64_t prefix_tokens_reused = 0;  ///< not fed because their KV was there
  std::uint64_t preemptions = 0;
  std::uint64_t blocks_evicted = 0;  ///< cached prefixes given up for new blocks
  std::uint64_t requests_accepted = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t requests_finished = 0;  ///< by stop or length
  std::uint64_t requests_aborted = 0;
};

template <class Inspector>
bool inspect(Inspector& f, scheduler_stats& x) {
  return f.object(x).fields(
      f.field("waiting", x.waiting), f.field("running", x.running), f.field("in_flight", x.in_flight),
      f.field("blocks_free", x.blocks_free), f.field("blocks_cached", x.blocks_cached),
      f.field("blocks_used", x.blocks_used), f.field("steps", x.steps), f.field("tokens_planned", x.tokens_planned),
      f.field("prefix_tokens_reused", x.prefix_tokens_reused), f.field("preemptions", x.preemptions),
      f.field("blocks_evicted", x.blocks_evicted), f.field("requests_accepted", x.requests_accepted),
      f.field("requests_refused", x.requests_refused), f.field("requests_finished", x.requests_finished),
      f.field("requests_aborted", x.requests_aborted));
}

}  // namespace troupe
