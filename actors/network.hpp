// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"

namespace troupe {

/// What opens and reaches ports in this process: over TLS exactly when its system_config says so, and null when it has
/// no network at all.
network_actor network_of(caf::actor_system& system);

/// Opens a node's port; 0 takes a free one. Reused: a node that starts again need not wait until the connections of
/// the one before are forgotten.
caf::expected<std::uint16_t> open_door(caf::actor_system& system, const node_actor& node, const std::string& host,
                                       std::uint16_t port);

/// Reaches a node, and waits for it.
caf::expected<node_actor> knock(caf::actor_system& system, const std::string& host, std::uint16_t port);

}  // namespace troupe
