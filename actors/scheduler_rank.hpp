// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"
#include "runtime/engine/progress_watch.hpp"
#include "runtime/engine/straggler_watch.hpp"
#include "runtime/scheduler/scheduler.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/fence.hpp"

namespace troupe {

struct scheduler_rank_options {
  rank_state identity;          ///< node, device, incarnation, process, free memory; the rest is filled in as it goes
  std::uint64_t cluster = 0;    ///< cluster_id
  scheduler_options scheduler;  ///< epoch, blocks and what depends on the group's shape come with the view
  std::chrono::milliseconds report_interval{500};
  network_actor network;   ///< opens and reaches ports; null where no rank is in another process
  std::string publish_at;  ///< address where ranks of other processes reach this one; empty: nobody has to
  std::chrono::milliseconds connect_timeout{5000};   ///< for rank 0 to reach each other rank; tried again on failure
  std::shared_ptr<const progress_counter> progress;  ///< of this rank's engine; null: only whole steps are watched
  progress_watch_options hang{};
  tracer trace{};
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
  struct early_request {
    enqueue message;
    router_actor router;
    caf::typed_response_promise<void> answer;
  };

  caf::result<void> on_enqueue(enqueue& message);
  void on_abort(const abort_request& message);
  void on_plan(step_plan& plan);
  void on_result(step_result& result);
  void on_join(const join_group& message);
  void on_started(const engine_started& message);
  void on_lease(const hold_lease& message);
  group_statistics on_status() const;

  bool leads() const { return state_.rank == 0; }
  bool leased() const { return self_->clock().now() < lease_until_; }
  void take_lease(std::int64_t until_ns);
  void run_plan(step_plan& plan);
  void use_result(step_result& result);
  caf::error admit(enqueue& message, const router_actor& router);
  void answer_early();
  void publish();
  void start(const group_view& view, std::uint32_t rank);
  void reach_peers(const join_group& message);
  void lead();
  void pump();
  void ask_trial();
  void put_trial(const trial_question& question, const router_actor& router);
  void answer_trial(const trial_question& question, bool go);
  void lose_router(const caf::actor_addr& router);
  void tell_routers(step_outcome& outcome, std::uint64_t step);
  void watch_engine();
  void look_at_engine();
  void note_duration(const step_result& result);
  void fail(loss_cause cause, std::string reason);
  void tell_node();
  void report();

  scheduler_rank_actor::impl* self_;
  node_actor node_;
  scheduler_rank_options options_;
  engine_rank_actor engine_;
  rank_state state_;                                       ///< what the node is told
  fence fence_;                                            ///< judges whatever names an epoch
  group_view view_;                                        ///< of the epoch this rank belongs to
  caf::actor_clock::time_point lease_until_{};             ///< without a lease nothing is planned, run or told
  std::deque<std::variant<step_plan, step_result>> held_;  ///< what came meanwhile; a few steps are under way at most
  std::uint64_t last_step_ = 0;                            ///< of the plan passed to the engine
  std::map<std::uint32_t, scheduler_rank_actor> peers_;    ///< on rank 0: the other ranks, once reached
  std::set<std::uint32_t> reaching_;                       ///< of those, what is being connected to
  scheduler_rank_actor leader_;                            ///< on the others: who sent the last plan
  std::optional<scheduler> scheduler_;                     ///< on rank 0 of a serving group
  std::map<request_id, router_actor> routers_;             ///< who asked, for every request not ended
  std::set<caf::actor_addr> watched_routers_;              ///< only looked up, never walked
  router_actor trial_router_;                              ///< of the suspect on trial
  std::optional<trial_question> trial_asked_;              ///< what that router has not answered yet
  std::deque<early_request> early_;                        ///< asked for before this rank knew that it leads
  group_statistics statistics_;
  std::uint64_t in_flight_ = 0;                         ///< steps planned and not done
  caf::actor_clock::time_point active_since_;           ///< since in_flight_ is above 0
  caf::actor_clock::time_point step_begun_;             ///< since the oldest step in flight is the engine's next
  progress_watch watch_;                                ///< of the engine
  bool looking_ = false;                                ///< look_at_engine comes again by itself
  straggler_watch durations_;                           ///< of the engine's steps of one token for each sequence
  std::map<std::uint64_t, std::uint64_t> plain_steps_;  ///< of those under way: step, time waited until then
};

using scheduler_rank_impl = caf::stateful_actor<scheduler_rank, scheduler_rank_actor::impl>;

}  // namespace troupe
