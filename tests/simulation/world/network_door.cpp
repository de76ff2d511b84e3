// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world/network_door.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/simulation/world/network.hpp"
#include "tests/simulation/world/process.hpp"

namespace troupe::simulation {
namespace {

using connect_promise = caf::typed_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>;

/// An attempt to connect is completed by the network, outside any actor; the door then answers in its own name.
struct door_state {
  static inline const char* name = "network-door";
  std::map<std::uint64_t, std::pair<connect_promise, std::shared_ptr<connect_outcome>>> attempts;
  std::uint64_t made = 0;
};

caf::behavior door(caf::stateful_actor<door_state>* self, process* home, network* wires) {
  self->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {
      [=](caf::publish_atom, std::uint16_t port, const caf::strong_actor_ptr& whom,
          const std::set<std::string>& interface, const std::string& address,
          bool) -> caf::result<std::uint16_t> { return wires->publish(*home, address, port, whom, interface); },
      [=](caf::connect_atom, const std::string& host,
          std::uint16_t port) -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
        auto promise = self->make_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>();
        auto outcome = std::make_shared<connect_outcome>();
        auto attempt = ++self->state.made;
        self->state.attempts.emplace(attempt, std::pair{promise, outcome});
        auto me = caf::actor_cast<caf::actor_addr>(self);
        wires->connect(*home, host, port, [me, attempt, outcome](connect_outcome result) {
          *outcome = std::move(result);
          if (auto strong = caf::actor_cast<caf::actor>(me)) caf::anon_send(strong, attempt);
        });
        return promise;
      },
      [=](std::uint64_t attempt) {
        auto done = self->state.attempts.extract(attempt);
        if (!done) return;
        auto& [promise, outcome] = done.mapped();
        if (outcome->failure)
          promise.deliver(outcome->failure);
        else
          promise.deliver(outcome->node, outcome->actor, outcome->interface);
      },
  };
}

}  // namespace

network_actor make_network_door(process& home, network& wires) {
  return caf::actor_cast<network_actor>(home.system().spawn(door, &home, &wires));
}

}  // namespace troupe::simulation
