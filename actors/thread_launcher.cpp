// SPDX-License-Identifier: Apache-2.0
#include "actors/thread_launcher.hpp"

#include <utility>

namespace troupe {
namespace {

/// Tells a node that a rank has ended: what a process's exit is to the node of a process.
struct rank_watcher_state {
  static inline const char* name = "rank-watcher";
};

caf::behavior watch_rank(caf::stateful_actor<rank_watcher_state>* self, rank_start start, scheduler_rank_actor rank,
                         node_actor node) {
  self->set_down_handler([self, start, node](const caf::down_msg& down) {
    self->send(node, rank_exited{start.group, start.rank, start.incarnation, to_string(down.reason)});
    self->quit();
  });
  self->monitor(rank);
  return {[](caf::unit_t) {}};
}

}  // namespace

scheduler_rank_actor spawn_rank(caf::actor_system& system, const node_actor& node, rank_parts parts) {
  auto spawn_engine = [&system, parts]() -> engine_rank_actor {
    if (parts.detached) return system.spawn<engine_rank_impl, caf::detached>(parts.make_executor, parts.progress);
    return system.spawn<engine_rank_impl>(parts.make_executor, parts.progress);
  };
  return system.spawn<scheduler_rank_impl>(node, parts.options, std::function<engine_rank_actor()>{spawn_engine});
}

void thread_launcher::launch(const rank_start& start, const node_actor& node) {
  auto rank = spawn_rank(system_, node, recipe_(start, node));
  ranks_[{start.group, start.rank, start.incarnation}] = rank;
  system_.spawn(watch_rank, start, rank, node);
}

void thread_launcher::kill(const rank_start& start) {
  if (auto rank = ranks_.extract({start.group, start.rank, start.incarnation}))
    caf::anon_send_exit(rank.mapped(), caf::exit_reason::kill);
}

}  // namespace troupe
