// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "actors/rank_launcher.hpp"

namespace troupe {

/// Starts each rank as a process of its own: this program, as `troupe rank`. A rank dies with the node: by the parent-
/// death signal if the node is killed, by SIGKILL when the launcher is destroyed.
class process_launcher : public rank_launcher {
 public:
  /// `arguments` go before those that name the rank.
  explicit process_launcher(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}
  ~process_launcher() override;

  void launch(const rank_start& start, const node_actor& node) override;
  void kill(const rank_start& start) override;

 private:
  struct child_process {
    rank_start start;
    pid_t process = 0;
    bool reaped = false;  ///< the process id may belong to somebody else by now
    std::thread watcher;
  };

  void watch(child_process& watched, const node_actor& node);

  std::vector<std::string> arguments_;
  std::mutex mutex_;  ///< guards `reaped` of the children and the list; watchers are threads of their own
  std::list<child_process> children_;
};

}  // namespace troupe
