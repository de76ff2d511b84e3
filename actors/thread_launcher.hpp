// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "actors/engine_rank.hpp"
#include "actors/rank_launcher.hpp"
#include "actors/scheduler_rank.hpp"

namespace troupe {

/// How one rank is made: what its scheduler_rank is told, and how its executor is made.
struct rank_parts {
  scheduler_rank_options options;
  executor_factory make_executor;
  load_progress progress;
  bool detached = true;  ///< false: the engine shares the scheduler's threads, as a simulation wants it
};

using rank_recipe = std::function<rank_parts(const rank_start&, const node_actor&)>;

/// Makes the actors of one rank; they end with the scheduler_rank.
scheduler_rank_actor spawn_rank(caf::actor_system& system, const node_actor& node, rank_parts parts);

/// Starts ranks as actors of this process: for laptops, tests and programs that serve themselves.
class thread_launcher : public rank_launcher {
 public:
  thread_launcher(caf::actor_system& system, rank_recipe recipe) : system_(system), recipe_(std::move(recipe)) {}

  void launch(const rank_start& start, const node_actor& node) override;
  void kill(const rank_start& start) override;

 private:
  using key = std::pair<std::string, std::uint64_t>;

  caf::actor_system& system_;
  rank_recipe recipe_;
  std::map<key, scheduler_rank_actor> ranks_;  ///< those started; used by the node alone
};

}  // namespace troupe
