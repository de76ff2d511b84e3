// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/io/all.hpp>
#include <caf/io/network/default_multiplexer.hpp>

namespace troupe {

/// CAF's network, which also forgets. Of every process it has ever been connected with, CAF keeps the actor that would
/// start actors there, 1.4 KiB, until the system ends: a node that is asked for its status every second would grow by
/// 120 MiB a day. Here it goes with the connection.
class forgetful_middleman : public caf::io::middleman {
 public:
  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>);

  explicit forgetful_middleman(caf::actor_system& system) : caf::io::middleman(system), backend_(&system) {}

  void start() override;
  caf::io::network::multiplexer& backend() override { return backend_; }

 private:
  caf::io::network::default_multiplexer backend_;
};

/// The broker of all connections of a system that has a forgetful_middleman. Its members belong to the network's
/// thread.
class forgetful_broker : public caf::io::basp_broker {
 public:
  using basp_broker::basp_broker;

  void purge_state(const caf::node_id& peer) override;
};

}  // namespace troupe
