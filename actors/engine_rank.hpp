// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "actors/protocol.hpp"
#include "runtime/engine/executor.hpp"

namespace troupe {

/// Joins the communicators of the view's epoch and makes the executor of this rank; may wait, and throws when a peer is
/// missing at its deadline.
using executor_factory = std::function<std::unique_ptr<executor>(const group_view&)>;

/// Gives an executor a mailbox. Computing takes its thread, so it is spawned detached; what goes wrong in the executor
/// is an exception that ends the actor, and its scheduler_rank, which monitors it, reports the rank as failed. While
/// steps are under way it looks for their end by messages to itself, between which the next plan comes in and is begun.
class engine_rank {
 public:
  static inline const char* name = "engine-rank";

  engine_rank(engine_rank_actor::impl* self, executor_factory make, load_progress progress);

  engine_rank_actor::behavior_type make_behavior();

 private:
  void on_group(const group_view& view);
  void on_plan(step_plan& plan);
  void on_tick();
  void advance();

  engine_rank_actor::impl* self_;
  executor_factory make_;
  load_progress progress_;
  std::unique_ptr<executor> executor_;  ///< null until it has joined
  scheduler_rank_actor scheduler_;      ///< who sent the last plan
  std::deque<step_plan> waiting_;       ///< not begun; the scheduler bounds the plans in flight
  std::deque<std::uint64_t> begun_;     ///< the clusters of the plans begun, whose results are to come
  bool ticking_ = false;                ///< a tick is in the mailbox
};

using engine_rank_impl = caf::stateful_actor<engine_rank, engine_rank_actor::impl>;

}  // namespace troupe
