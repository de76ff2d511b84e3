// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/cache/kv_cache.hpp"
#include "runtime/request.hpp"
#include "runtime/scheduler/turn.hpp"

namespace troupe {

enum class sequence_phase : std::uint8_t {
  running,
  retiring,  ///< preempted; waits for its steps in flight, whose tokens still count
  ending,    ///< finished or aborted; waits for its steps in flight, whose tokens do not count
  gone,      ///< holds nothing any more
};

/// A request that holds blocks. Positions: [0, written) have their KV, [written, fed) are in flight, the rest is to be
/// fed. The tokens at [known(), length()) are sampled by steps in flight, so nobody here has seen them.
struct sequence {
  sequence_id id;
  generation_request request;  ///< its tokens grow
  troupe::turn turn;
  std::uint32_t limit = 0;  ///< length at which it ends, by max_tokens, the context or the memory
  block_table table;
  std::uint32_t reused = 0;  ///< prompt tokens whose KV was there when it started
  std::uint32_t fed = 0;
  std::uint32_t written = 0;
  std::uint32_t unseen = 0;  ///< tokens sampled by steps in flight
  std::uint32_t steps_in_flight = 0;
  std::uint32_t blocks_announced = 0;  ///< blocks of the table that the ranks know of
  std::uint64_t last_step = 0;         ///< the step that fed it last
  sequence_phase phase = sequence_phase::running;
  bool aborted = false;

  std::uint32_t known() const { return static_cast<std::uint32_t>(request.tokens.size()); }
  std::uint32_t length() const { return known() + unseen; }
  /// More than the last token is still to be fed.
  bool prefilling() const { return fed + 1 < known(); }
  /// Its next step feeds one token and samples the next one.
  bool can_decode(bool feed_sampled) const {
    return phase == sequence_phase::running && !prefilling() && length() < limit && (fed < known() || feed_sampled);
  }
};

}  // namespace troupe
