// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "actors/protocol.hpp"

namespace troupe {

/// One start of the rank of one place of this machine. Which group it will serve comes with the view.
struct rank_start {
  std::string device;  ///< as the file names it, for example cpu:0
  std::uint64_t incarnation = 0;
};

/// How a node brings its ranks to life and ends them: as processes, or as actors of its own process.
class rank_launcher {
 public:
  rank_launcher() = default;
  rank_launcher(const rank_launcher&) = delete;
  rank_launcher& operator=(const rank_launcher&) = delete;
  virtual ~rank_launcher() = default;

  /// Starts a rank, which will report to `node`. The launcher sends rank_exited when it has ended, whatever the cause;
  /// throws std::runtime_error when it cannot be started at all.
  virtual void launch(const rank_start& start, const node_actor& node) = 0;

  /// Ends a rank without asking it; rank_exited follows.
  virtual void kill(const rank_start& start) = 0;
};

/// A launcher that is made after the node that uses it: what it needs (the node's port) is only known then.
class late_launcher : public rank_launcher {
 public:
  /// From now on `launcher` does the work. Before the node begins.
  void become(std::shared_ptr<rank_launcher> launcher) { launcher_ = std::move(launcher); }

  void launch(const rank_start& start, const node_actor& node) override { launcher_->launch(start, node); }
  void kill(const rank_start& start) override { launcher_->kill(start); }

 private:
  std::shared_ptr<rank_launcher> launcher_;
};

}  // namespace troupe
