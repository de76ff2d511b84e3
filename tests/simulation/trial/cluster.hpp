// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "actors/local_services.hpp"
#include "actors/protocol.hpp"
#include "actors/rank_launcher.hpp"
#include "tests/simulation/trial/device.hpp"
#include "tests/simulation/trial/observer.hpp"
#include "tests/simulation/trial/simulated_disk.hpp"
#include "tests/simulation/trial/trial_options.hpp"
#include "tests/simulation/world/world.hpp"

namespace troupe::simulation {

/// The processes of a Troupe cluster as `troupe node` and `troupe rank` make them: one a node, one a rank, started
/// again by whoever starts them in production (ranks by their node, nodes by an operator).
class cluster {
 public:
  cluster(world& where, observer& watcher, const trial_options& options);

  const cluster_file& file() const { return file_; }

  struct node_process {
    std::string name;
    process* home = nullptr;  ///< null while it is down
    std::uint64_t starts = 0;
    simulated_disk disk;
    node_actor node;
  };
  struct rank_process {
    rank_start start;
    std::string node;
    process* home = nullptr;
    std::shared_ptr<device_health> health;
    std::uint32_t parent = 0;  ///< process id of its node
  };

  std::deque<node_process>& nodes() { return nodes_; }
  /// The rank processes that live, in order of their start.
  std::vector<rank_process*> ranks();

  void start_node(node_process& which);
  /// Kills a node's process; its ranks die with it.
  void kill_node(node_process& which);
  void kill_rank(rank_process& which, loss_cause cause);
  /// What an operator does in the end: every place that was given up is tried again.
  void restart_places();
  /// Nodes that are down are started again after a while.
  void keep_nodes_up();
  /// Before the world ends: nothing that happens then starts or ends a process.
  void let_go();

 private:
  friend class simulated_launcher;
  /// Device, incarnation and the node process that started it: incarnations begin again with each of those.
  using rank_key = std::tuple<std::string, std::uint64_t, std::uint32_t>;

  local_service_factories make_services(node_process& which, process& home);
  /// No actor may end by an exception of its own; engines may.
  void watch_for_exceptions(const caf::actor& whom, const std::string& where);
  void launch(node_process& owner, process& parent, const rank_start& start, const node_actor& node);
  void run_rank(const rank_key& key, node_actor node);
  void rank_ended(const rank_key& key, loss_cause cause, const std::string& reason);
  void count_kill(const rank_process& which);

  world& world_;
  observer& watcher_;
  trial_options options_;
  random_stream random_;
  cluster_file file_;
  meeting_place meetings_;
  std::deque<node_process> nodes_;
  struct owned_rank {
    rank_process public_part;
    process* parent = nullptr;
    node_actor told;  ///< the node's own handle, in the node's process
  };
  std::map<rank_key, owned_rank> ranks_;
};

}  // namespace troupe::simulation
