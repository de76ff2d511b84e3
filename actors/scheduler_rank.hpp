// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"
#include "runtime/scheduler/scheduler.hpp"

namespace troupe {

struct scheduler_rank_options {
  rank_state identity;  ///< group, rank, incarnation, process, free memory; the rest is filled in as it goes
  std::uint32_t sampling_rank = 0;  ///< the rank whose results carry the sampled tokens
  scheduler_options scheduler;      ///< epoch, blocks and block_tokens come from the group
  std::chrono::milliseconds report_interval{500};
  network_actor network;   ///< opens and reaches ports; null where no rank is in another process
  std::string publish_at;  ///< address where ranks of other processes reach this one; empty: nobody has to
  std::chrono::milliseconds connect_timeout{5000};  ///< for rank 0 to reach each other rank; tried again on failure
};

/// Gives a group's scheduler a mailbox on rank 0: admits requests, sends each numbered plan to every rank, tells the
/// routers what the steps gave. On the other ranks it checks epoch and step number and hands the plan to its engine.
/// On all ranks it is the rank's voice towards its node.
class scheduler_rank {
 public:
  static inline const char* name = "scheduler-rank";

  /// `spawn_engine` makes this rank's engine, once.
  scheduler_rank(scheduler_rank_actor::impl* self, node_actor node, scheduler_rank_options options,
                 std::function<engine_rank_actor()> spawn_engine);

  scheduler_rank_actor::behavior_type make_behavior();

 private:
  caf::result<void> on_enqueue(enqueue& message);
  void on_abort(const abort_request& message);
  void on_plan(step_plan& plan);
  void on_result(step_result& result);
  void on_join(const join_group& message);
  void on_started(const engine_started& message);
  group_statistics on_status() const;

  bool leads() const { return state_.rank == 0; }
  void publish();
  void start(const group_view& view);
  void reach_peers(const join_group& message);
  void lead();
  void pump();
  void ask_trial();
  void put_trial(const trial_question& question, const router_actor& router);
  void lose_router(const caf::actor_addr& router);
  void tell_routers(step_outcome& outcome);
  void fail(loss_cause cause, std::string reason);
  void tell_node();
  void report();

  scheduler_rank_actor::impl* self_;
  node_actor node_;
  scheduler_rank_options options_;
  engine_rank_actor engine_;
  rank_state state_;                                     ///< what the node is told
  group_view view_;                                      ///< of the epoch this rank belongs to
  std::uint64_t last_step_ = 0;                          ///< of the plan passed to the engine
  std::map<std::uint32_t, scheduler_rank_actor> peers_;  ///< on rank 0: the other ranks, once reached
  scheduler_rank_actor leader_;                          ///< on the others: who sent the last plan
  std::optional<scheduler> scheduler_;                   ///< on rank 0 of a serving group
  std::map<request_id, router_actor> routers_;           ///< who asked, for every request not ended
  std::set<caf::actor_addr> watched_routers_;            ///< only looked up, never walked
  router_actor trial_router_;                            ///< of the suspect on trial
  group_statistics statistics_;
  std::uint64_t in_flight_ = 0;                ///< steps planned and not done
  caf::actor_clock::time_point active_since_;  ///< since in_flight_ is above 0
};

using scheduler_rank_impl = caf::stateful_actor<scheduler_rank, scheduler_rank_actor::impl>;

}  // namespace troupe
