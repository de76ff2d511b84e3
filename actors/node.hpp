// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/connect.hpp"
#include "actors/local_services.hpp"
#include "actors/protocol.hpp"
#include "actors/rank_launcher.hpp"
#include "actors/rank_places.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/cluster_file.hpp"
#include "topology/lease.hpp"

namespace troupe {

struct node_options {
  std::string name;
  std::string version;
  std::uint64_t boot = 0;  ///< random, unequal for every start
  std::uint64_t model_hash = 0;
  std::string model;  ///< the name clients use
  std::uint32_t context_tokens = 0;
  network_actor network;                          ///< reaches other machines; null in a cluster of one
  std::chrono::milliseconds lease_interval{100};  ///< between two askings for the lease
  /// This process's own actors, replaced by the node when one of them ends; null: they are somebody else's.
  std::shared_ptr<local_services> services{};
  tracer trace{};
  trace_keeper_actor traces{};    ///< has the flight records of this machine; null: none are kept
  fault_injector_actor faults{};  ///< null: faults are not allowed
};

/// The supervisor of one machine: starts its ranks, tells the topology actor how they are, tells them which epoch they
/// belong to, starts again what ended, and tells the router which groups serve. It holds the lease of its machine and
/// lets its ranks go on for as long. It decides nothing about membership.
class node {
 public:
  static inline const char* name = "node";

  node(node_actor::impl* self, cluster_file file, node_options options, std::shared_ptr<rank_launcher> launcher,
       router_actor router);

  node_actor::behavior_type make_behavior();

 private:
  struct reached_leader {
    std::uint64_t epoch = 0;
    scheduler_rank_actor handle;                ///< null while it is asked for, or was not reached
    caf::actor_clock::time_point next_attempt;  ///< when it may be asked for again
  };

  void on_begin(const begin& message);
  void on_rank(rank_reported& message);
  void on_exit(const rank_exited& message);
  void on_view(cluster_view& view);
  bool is_current(const cluster_view& view) const;
  void on_lease(const lease_renewed& message);
  void on_change(const topology_changed& message);
  caf::result<void> on_restart(restart_rank& message);
  caf::result<topology_actor> on_find_topology() const;
  caf::result<node_status> on_status();
  caf::result<group_statistics> on_group_status(const get_group_statistics& message);
  caf::result<probe_report> on_probe(const probe_node& message);
  echoed on_echo(echo& message) const;
  caf::result<trace_answer> on_trace(get_trace& message);
  known_nodes on_find_nodes() const;
  caf::result<std::uint64_t> on_inject(inject& message);
  caf::error faults_refused() const;
  caf::result<void> on_drain();
  template <class Result, class Message>
  caf::result<Result> pass_on(Message& message);

  void on_down(const caf::down_msg& down);
  void tell_ranks();
  void tell_leases();
  std::int64_t lease_end(const group_view& group) const;
  void tell_router();
  bool lost_with_first_node(const group_view& group) const;
  scheduler_rank_actor leader_of(const group_view& group);
  bool replace_service(const caf::down_msg& down);
  void find_topology_actor();
  void use_topology(topology_actor handle);
  void ask_lease();
  void ask_loads();
  void report();
  void tick();
  void stop_if_hopeless();
  bool drained_in_view() const;

  node_actor::impl* self_;
  cluster_file file_;
  node_options options_;
  rank_places places_;
  router_actor router_;
  topology_actor topology_;
  bool first_node_lost_ = false;  ///< its connection was lost, and not only its topology actor
  bool connecting_ = false;
  std::map<std::string, reached_leader> leaders_;  ///< of groups led from other machines
  cluster_view view_;
  lease lease_;
  bool leased_ = false;  ///< as the router was told
  std::uint64_t ticks_ = 0;
  std::map<std::string, heard_epoch> heard_;  ///< of each group, what this node was told
  std::uint64_t loads_revision_ = 0;          ///< of the view that the router acted on when it counted
  std::vector<group_load> loads_;
  bool taken_ = false;                  ///< the topology actor has taken this node
  caf::actor_clock::time_point begun_;  ///< when the node began
  bool draining_ = false;
  std::string refusal_;      ///< why the topology actor does not take this node
  std::string unreachable_;  ///< why it is not reached, as logged last
};

using node_impl = caf::stateful_actor<node, node_actor::impl>;

}  // namespace troupe
