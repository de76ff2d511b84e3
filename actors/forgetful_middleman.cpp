// SPDX-License-Identifier: Apache-2.0
#include "actors/forgetful_middleman.hpp"

#include <caf/all.hpp>

namespace troupe {

caf::actor_system::module* forgetful_middleman::make(caf::actor_system& system, caf::detail::type_list<>) {
  return new forgetful_middleman(system);  // the system's from here on
}

/// CAF looks for its broker by this name before it makes one.
void forgetful_middleman::start() {
  named_broker<forgetful_broker>("BASP");
  caf::io::middleman::start();
}

void forgetful_broker::purge_state(const caf::node_id& peer) {
  basp_broker::purge_state(peer);
  auto starter = spawn_servers.find(peer);
  if (starter == spawn_servers.end()) return;
  caf::anon_send_exit(starter->second, caf::exit_reason::kill);
  spawn_servers.erase(starter);
}

}  // namespace troupe
