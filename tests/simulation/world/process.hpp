// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>
#include <caf/proxy_registry.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "actors/connect.hpp"
#include "tests/simulation/world/random_stream.hpp"
#include "tests/simulation/world/timeline.hpp"

namespace troupe::simulation {

class network;
struct frame;

/// One simulated process: an actor system of its own, in which one message is handled at a time when the world says
/// so. Actors of other processes are reached through proxies, as in production.
class process final : public caf::proxy_registry::backend {
 public:
  process(std::uint32_t id, std::string name, std::string host, network& wires, instant now);
  ~process() override;
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  std::uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::string& host() const { return host_; }
  bool alive() const { return system_ != nullptr; }
  bool frozen() const { return frozen_; }

  caf::actor_system& system() { return *system_; }
  caf::proxy_registry& proxies() { return *proxies_; }
  const caf::node_id& node() const { return node_; }
  /// The process with this node's name; 0 when there is none of that kind.
  static std::uint32_t id_of(const caf::node_id& node);
  /// What product actors open and reach ports with.
  network_actor door() const { return door_; }

  /// Holds an actor that nobody else would.
  void keep(caf::actor root) { roots_.push_back(std::move(root)); }

  /// Messages that wait to be handled.
  std::size_t jobs() const { return frozen_ || !alive() ? 0 : coordinator_->jobs.size(); }
  /// Handles one message of the `index`-th actor that has any. Returns that actor's id.
  caf::actor_id run(std::size_t index);

  /// When the next timer is due; a frozen process has none.
  instant next_timer() const;
  void advance_to(instant now);

  void freeze() { frozen_ = true; }
  void thaw(instant now);

  /// Ends every actor without letting any of them act, as SIGKILL does.
  void end();

  /// A message that came over the wire.
  void receive(const frame& message);

  /// Kills one actor, by its id; false when it is not there any more.
  bool kill_actor(caf::actor_id id);
  /// Ids and names of the actors that have run here and still live, oldest first.
  std::vector<std::pair<caf::actor_id, std::string>> actors() const;

  caf::strong_actor_ptr make_proxy(caf::node_id node, caf::actor_id actor) override;
  void set_last_hop(caf::node_id*) override {}

 private:
  void note(caf::resumable* job);

  std::uint32_t id_;
  std::string name_;
  std::string host_;
  network& wires_;
  bool frozen_ = false;
  caf::node_id node_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* coordinator_ = nullptr;
  std::unique_ptr<caf::proxy_registry> proxies_;
  network_actor door_;
  std::map<caf::actor_id, caf::weak_actor_ptr> seen_;
  std::vector<caf::actor> roots_;
};

/// Sends an exit that overtakes what waits in the mailbox.
void exit_now(const caf::strong_actor_ptr& actor, caf::error reason);

}  // namespace troupe::simulation
