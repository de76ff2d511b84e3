// SPDX-License-Identifier: Apache-2.0
#include "actors/network.hpp"

#include <caf/openssl/all.hpp>

namespace troupe {

network_actor network_of(caf::actor_system& system) {
  if (system.has_openssl_manager()) return system.openssl_manager().actor_handle();
  if (system.has_middleman()) return system.middleman().actor_handle();
  return {};
}

caf::expected<std::uint16_t> open_door(caf::actor_system& system, const node_actor& node, const std::string& host,
                                       std::uint16_t port) {
  if (system.has_openssl_manager()) return caf::openssl::publish(node, port, host.c_str(), true);
  return system.middleman().publish(node, port, host.c_str(), true);
}

caf::expected<node_actor> knock(caf::actor_system& system, const std::string& host, std::uint16_t port) {
  caf::expected<node_actor> node{caf::sec::cannot_connect_to_node};
  for (int i = 0; i < connect_attempts; ++i) {
    node = system.has_openssl_manager() ? caf::openssl::remote_actor<node_actor>(system, host, port)
                                        : system.middleman().remote_actor<node_actor>(host, port);
    if (node || !was_cut_by_heartbeat(node.error())) break;
  }
  return node;
}

}  // namespace troupe
