// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "topology/membership.hpp"

namespace troupe {

/// NETWORK: what opens and reaches ports; a dialer in front of CAF's, or a simulated one.
using network_actor = caf::typed_actor<
    // Opens a port for an actor: port (0: a free one), actor, its interface, address, whether it may be reused.
    caf::result<std::uint16_t>(caf::publish_atom, std::uint16_t, caf::strong_actor_ptr, std::set<std::string>,
                               std::string, bool),
    // Reaches the actor published at a port.
    caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>(caf::connect_atom, std::string,
                                                                            std::uint16_t)>;

/// A heartbeat that falls into CAF's handshake ends it, and a TLS handshake on a busy machine takes as long as the time
/// between two heartbeats: another attempt is all it needs.
inline bool was_cut_by_heartbeat(const caf::error& reason) {
  return reason == caf::sec::connection_timeout || reason == caf::sec::disconnect_during_handshake;
}
inline constexpr int connect_attempts = 6;

/// Asks the network for the actor published at `door`, without blocking. Exactly one of the two is called: `found`
/// with a handle of type Handle, or `failed` with an error. The interface is checked here.
template <class Handle, class Self, class Found, class Failed>
void connect(Self* self, const network_actor& network, const endpoint& door, std::chrono::milliseconds timeout,
             Found found, Failed failed, int attempts = connect_attempts) {
  self->request(network, timeout, caf::connect_atom_v, door.host, door.port)
      .then(
          [self, found, failed](caf::node_id&, caf::strong_actor_ptr& actor, std::set<std::string>& interface) mutable {
            if (!actor)
              failed(caf::make_error(caf::sec::no_actor_published_at_port));
            else if (!self->system().template assignable<Handle>(interface))
              failed(caf::make_error(caf::sec::unexpected_actor_messaging_interface));
            else
              found(caf::actor_cast<Handle>(std::move(actor)));
          },
          [=](caf::error& reason) mutable {
            if (attempts > 1 && was_cut_by_heartbeat(reason))
              connect<Handle>(self, network, door, timeout, found, failed, attempts - 1);
            else
              failed(reason);
          });
}

}  // namespace troupe
