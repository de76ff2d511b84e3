// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "actors/protocol.hpp"
#include "runtime/engine/executor.hpp"

namespace troupe {

/// Joins the communicators of the view's epoch and makes the executor of this rank; may wait, and throws when a peer is
/// missing at its deadline.
using executor_factory = std::function<std::unique_ptr<executor>(const group_view&)>;

/// Gives an executor a mailbox. It waits for the device, so it is spawned detached; what goes wrong in the executor is
/// an exception that ends the actor, and its scheduler_rank, which monitors it, reports the rank as failed.
class engine_rank {
 public:
  static inline const char* name = "engine-rank";

  engine_rank(engine_rank_actor::impl* self, executor_factory make, load_progress progress);

  engine_rank_actor::behavior_type make_behavior();

 private:
  void on_group(const group_view& view);
  void on_plan(const step_plan& plan);

  engine_rank_actor::impl* self_;
  executor_factory make_;
  load_progress progress_;
  std::unique_ptr<executor> executor_;  ///< null until it has joined
};

using engine_rank_impl = caf::stateful_actor<engine_rank, engine_rank_actor::impl>;

}  // namespace troupe
