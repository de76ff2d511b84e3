// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"
#include "actors/rank_launcher.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/cluster_file.hpp"
#include "topology/membership.hpp"

namespace troupe {

struct node_options {
  std::string name;
  std::string version;
  std::uint64_t boot = 0;  ///< random, unequal for every start
  std::uint64_t model_hash = 0;
  std::string model;  ///< the name clients use
  std::uint32_t context_tokens = 0;
  network_actor network;  ///< reaches other machines; null in a cluster of one
  std::chrono::milliseconds report_interval{500};
  tracer trace{};
  trace_keeper_actor traces{};    ///< has the flight records of this machine; null: none are kept
  fault_injector_actor faults{};  ///< null: faults are not allowed
};

/// The supervisor of one machine: starts its ranks, tells the topology actor how they are, tells them which epoch they
/// belong to, starts again what ended, and tells the router which groups serve. It decides nothing about membership.
class node {
 public:
  static inline const char* name = "node";

  node(node_actor::impl* self, cluster_file file, node_options options, std::shared_ptr<rank_launcher> launcher,
       router_actor router);

  node_actor::behavior_type make_behavior();

 private:
  using rank_key = std::pair<std::string, std::uint32_t>;  ///< group and rank
  struct owned_rank {
    rank_state state;
    scheduler_rank_actor handle;  ///< null until it has reported
    bool running = false;
    std::deque<caf::actor_clock::time_point> starts;  ///< within the restart window
  };
  struct reached_leader {
    std::uint64_t epoch = 0;
    scheduler_rank_actor handle;                ///< null while it is asked for, or was not reached
    caf::actor_clock::time_point next_attempt;  ///< when it may be asked for again
  };

  void on_begin(const begin& message);
  void on_rank(rank_reported& message);
  void on_exit(const rank_exited& message);
  void on_view(cluster_view& view);
  caf::result<topology_actor> on_find_topology() const;
  caf::result<void> on_put(put_value& message);
  caf::result<std::string> on_get(get_value& message);
  caf::result<node_status> on_status();
  caf::result<group_statistics> on_group_status(const get_group_statistics& message);
  caf::result<trace_answer> on_trace(get_trace& message);
  known_nodes on_find_nodes() const;
  caf::result<std::uint64_t> on_inject(inject& message);
  caf::error faults_refused() const;
  caf::result<void> on_drain();

  void launch(const rank_key& key);
  void launch_if_needed(const group_view& group);
  void tell_ranks(const group_view& group);
  void tell_router();
  scheduler_rank_actor leader_of(const group_view& group);
  void find_topology_actor();
  void report();
  void tick();
  void stop_if_hopeless();

  node_actor::impl* self_;
  cluster_file file_;
  node_options options_;
  std::shared_ptr<rank_launcher> launcher_;
  router_actor router_;
  topology_actor topology_;
  bool connecting_ = false;
  std::map<rank_key, owned_rank> ranks_;
  std::map<std::string, reached_leader> leaders_;  ///< of groups led from other machines
  cluster_view view_;
  bool taken_ = false;                  ///< the topology actor has taken this node
  caf::actor_clock::time_point begun_;  ///< when the node began
  bool served_ = false;                 ///< some group has served since this node started
  bool draining_ = false;
  std::string refusal_;  ///< why the topology actor does not take this node
};

using node_impl = caf::stateful_actor<node, node_actor::impl>;

}  // namespace troupe
