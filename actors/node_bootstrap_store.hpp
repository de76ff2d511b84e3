// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "actors/protocol.hpp"
#include "runtime/collective/bootstrap_store.hpp"

namespace troupe {

/// Lets communicators of several hosts find each other through the topology actor, asked by way of this rank's node.
/// Waits, so it is used from the engine's own thread.
class node_bootstrap_store : public bootstrap_store {
 public:
  node_bootstrap_store(caf::actor_system& system, node_actor node) : system_(system), node_(std::move(node)) {}

  void set(const std::string& key, std::vector<std::byte> value) override;
  std::optional<std::vector<std::byte>> get(const std::string& key,
                                            std::chrono::steady_clock::time_point deadline) override;

 private:
  caf::actor_system& system_;
  node_actor node_;
};

}  // namespace troupe
