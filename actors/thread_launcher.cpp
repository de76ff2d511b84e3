// SPDX-License-Identifier: Apache-2.0
#include "actors/thread_launcher.hpp"

#include <utility>

namespace troupe {
scheduler_rank_actor spawn_rank(caf::actor_system& system, const node_actor& node, rank_parts parts) {
  auto spawn_engine = [&system, parts]() -> engine_rank_actor {
    if (parts.detached) return system.spawn<engine_rank_impl, caf::detached>(parts.make_executor, parts.progress);
    return system.spawn<engine_rank_impl>(parts.make_executor, parts.progress);
  };
  return system.spawn<scheduler_rank_impl>(node, parts.options, std::function<engine_rank_actor()>{spawn_engine});
}

void thread_launcher::launch(const rank_start& start, const node_actor& node) {
  auto rank = spawn_rank(system_, node, recipe_(start, node));
  ranks_[{start.device, start.incarnation}] = rank;
  // Runs when the actor ends, whatever the cause: what a process's exit is to a node of processes.
  caf::actor_cast<caf::strong_actor_ptr>(rank)->get()->attach_functor([start, node](const caf::error& reason) {
    caf::anon_send(node, rank_exited{start.device, start.incarnation, loss_cause::crashed, to_string(reason)});
  });
}

void thread_launcher::kill(const rank_start& start) {
  if (auto rank = ranks_.extract({start.device, start.incarnation}))
    caf::anon_send_exit(rank.mapped(), caf::exit_reason::kill);
}

}  // namespace troupe
