// SPDX-License-Identifier: Apache-2.0
#include "actors/network.hpp"

#include <caf/openssl/all.hpp>
#include <caf/openssl/middleman_actor.hpp>

#include "actors/dialer.hpp"
#include "actors/tcp_reach.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds knock_limit{5};

caf::io::middleman_actor another_network(caf::actor_system& system) {
  auto broker = system.middleman().named_broker<caf::io::basp_broker>("BASP");
  return system.has_openssl_manager() ? caf::openssl::make_middleman_actor(system, broker)
                                      : caf::io::make_middleman_actor(system, broker);
}

}  // namespace

network_actor network_of(caf::actor_system& system) {
  if (!system.has_middleman()) return {};
  auto first =
      system.has_openssl_manager() ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
  return system.spawn<dialer_impl, caf::hidden>(
      dialer_options{std::move(first), [&system] { return another_network(system); }});
}

caf::expected<std::uint16_t> open_door(caf::actor_system& system, const node_actor& node, const std::string& host,
                                       std::uint16_t port) {
  if (system.has_openssl_manager()) return caf::openssl::publish(node, port, host.c_str(), true);
  return system.middleman().publish(node, port, host.c_str(), true);
}

caf::expected<node_actor> knock(caf::actor_system& system, const std::string& host, std::uint16_t port) {
  if (auto problem = tcp_problem({host, port}, knock_limit); !problem.empty())
    return caf::make_error(caf::sec::cannot_connect_to_node, problem, host, port);
  caf::expected<node_actor> node{caf::sec::cannot_connect_to_node};
  for (int i = 0; i < connect_attempts; ++i) {
    node = system.has_openssl_manager() ? caf::openssl::remote_actor<node_actor>(system, host, port)
                                        : system.middleman().remote_actor<node_actor>(host, port);
    if (node || !was_cut_by_heartbeat(node.error())) break;
  }
  return node;
}

}  // namespace troupe
