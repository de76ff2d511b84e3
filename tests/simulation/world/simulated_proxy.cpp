// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world/simulated_proxy.hpp"

#include <utility>

#include "tests/simulation/world/network.hpp"

namespace troupe::simulation {

simulated_proxy::simulated_proxy(caf::actor_config& config, process& home, network& wires)
    : caf::actor_proxy(config), home_(home), wires_(wires) {}

bool simulated_proxy::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  if (killed_) return false;  // nobody answers, as with CAF: only the sender's timeout ends a request
  wires_.send(home_, node(), id(), std::move(what));
  return true;
}

void simulated_proxy::kill_proxy(caf::execution_unit* context, caf::error reason) {
  killed_ = true;
  cleanup(std::move(reason), context);
}

}  // namespace troupe::simulation
