// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/scheduler/plan_draft.hpp"
#include "runtime/scheduler/scheduler_state.hpp"

namespace troupe {

/// Moves requests from the queue to the running set, for one plan. A request gets the blocks for the tokens it has and
/// none for those to come; so that the next steps need not preempt at once, it is admitted only while as many blocks
/// stay available as sequences run. One that does not fit may be overtaken by smaller ones, but only so often.
class admitter {
 public:
  static constexpr std::uint32_t overtakings_max = 64;  ///< then nobody passes the first in the queue any more
  static constexpr std::uint32_t tries_max = 8;         ///< requests looked up in vain in one plan

  admitter(scheduler_state& state, plan_draft& draft) : state_(state), draft_(draft) {}

  bool has_slot() const { return state_.running.size() < state_.options.max_sequences; }

  /// The started sequence, or null when the request must wait on.
  sequence* try_admit(turn key);

 private:
  bool may_pass(turn key) const;
  bool find_blocks(waiting_request& candidate, block_table& table);
  sequence& start(turn key, block_table table);

  scheduler_state& state_;
  plan_draft& draft_;
  std::uint32_t tries_in_vain_ = 0;
  bool first_misses_blocks_ = false;
};

}  // namespace troupe
