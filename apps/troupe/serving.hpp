// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <caf/all.hpp>

#include "actors/fault_actions.hpp"
#include "actors/generation_store.hpp"
#include "actors/protocol.hpp"
#include "actors/rank_launcher.hpp"
#include "actors/thread_launcher.hpp"
#include "apps/troupe/model_bundle.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/cluster_file.hpp"

namespace troupe {

/// Throws std::invalid_argument for what a topology file may ask and this build does not do.
void check_served(const cluster_file& file);

/// What a process may have beside what it serves with.
struct serving_extras {
  std::shared_ptr<flight_recorder> recorder{};  ///< null: nothing is noted
  std::filesystem::path flight_folder{};        ///< where the node finds the records of its ranks
  fault_actions faults{};                       ///< used where the topology file allows faults
};

/// The actors of one node. The node replaces router and topology when they end; ask it for those of now.
struct serving {
  node_actor node;
  router_actor router;
  topology_actor topology;  ///< null but on the first node of the file

  /// Lets the node begin; its ranks start once the topology actor knows it.
  void start() const;

  /// Ends the node, and with it all of them and the ranks that live in this process.
  void stop() const;
};

/// Ends a node's actors at the end of a scope, however it is left: an actor system waits for all of its actors.
class serving_scope {
 public:
  explicit serving_scope(serving actors) : actors_(std::move(actors)) {}
  serving_scope(const serving_scope&) = delete;
  serving_scope& operator=(const serving_scope&) = delete;
  ~serving_scope() { actors_.stop(); }

  const serving* operator->() const { return &actors_; }
  const serving& operator*() const { return actors_; }

 private:
  serving actors_;
};

/// Spawns tokenizers, detokenizer, router, node and, on the file's first node, topology. Nothing moves before start().
/// `generations`: where the topology actor writes them down; null where nothing outlives this process.
serving spawn_serving(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                      const std::string& node, std::shared_ptr<rank_launcher> launcher,
                      std::shared_ptr<generation_store> generations = {}, const serving_extras& extras = {});

/// How a rank of node `name` is made in this process, for process and thread isolation alike.
/// `progress` is told how loading goes; empty: it is logged.
rank_recipe make_rank_recipe(caf::actor_system& system, cluster_file file, std::string name, model_bundle model,
                             load_progress progress = {}, const serving_extras& extras = {});

}  // namespace troupe
