// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/rank_launcher.hpp"
#include "apps/troupe/child_process.hpp"

namespace troupe {

/// Starts each rank as a process of its own: this program, as `troupe rank`. A rank dies with the node: by the parent-
/// death signal if the node is killed, by SIGKILL when the launcher is destroyed. One thread waits for all of them.
class process_launcher : public rank_launcher {
 public:
  /// `arguments` go before those that name the rank.
  explicit process_launcher(std::vector<std::string> arguments);
  ~process_launcher() override;

  void launch(const rank_start& start, const node_actor& node) override;
  void kill(const rank_start& start) override;

 private:
  struct running_rank {
    rank_start start;
    node_actor node;
    child_process process;
  };

  void watch();
  void collect_ended();
  void wake();

  std::vector<std::string> arguments_;
  file_descriptor waker_;  ///< readable when there is a new process, or when all is over
  std::mutex mutex_;       ///< guards the following
  std::list<running_rank> ranks_;
  bool over_ = false;
  std::thread watcher_;  ///< last: it uses all of the above
};

}  // namespace troupe
