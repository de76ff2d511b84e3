// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <utility>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "topology/membership.hpp"

namespace troupe {

/// What opens and reaches ports: CAF's middleman, its TLS manager, or a simulated network.
using network_actor = caf::io::middleman_actor;

/// Asks the network for the actor published at `door`, without blocking. Exactly one of the two is called: `found`
/// with a handle of type Handle, or `failed` with an error. The interface is checked here.
template <class Handle, class Self, class Found, class Failed>
void connect(Self* self, const network_actor& network, const endpoint& door, std::chrono::milliseconds timeout,
             Found found, Failed failed) {
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
          [failed](caf::error& reason) mutable { failed(reason); });
}

}  // namespace troupe
