// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/actor_proxy.hpp>
#include <caf/mailbox_element.hpp>

namespace troupe::simulation {

class network;
class process;

/// Stands in one process for an actor of another, as CAF's own proxies do: what is sent to it goes over the wire, and
/// once killed it swallows everything and stays dead.
class simulated_proxy final : public caf::actor_proxy {
 public:
  simulated_proxy(caf::actor_config& config, process& home, network& wires);

  bool enqueue(caf::mailbox_element_ptr what, caf::execution_unit* context) override;
  void kill_proxy(caf::execution_unit* context, caf::error reason) override;

 private:
  process& home_;
  network& wires_;
  bool killed_ = false;
};

}  // namespace troupe::simulation
