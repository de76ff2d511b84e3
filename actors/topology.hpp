// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// Gives the cluster's membership a mailbox: what nodes report goes in, the view goes to every node, on change and
/// again and again. Also the meeting place where ranks of several hosts exchange the addresses of their communicators.
class topology {
 public:
  static inline const char* name = "topology";

  topology(topology_actor::impl* self, cluster_file file, membership_options options, tracer trace = {});

  topology_actor::behavior_type make_behavior();

 private:
  caf::result<void> on_node(const node_reported& message);
  caf::result<void> on_put(put_value& message);
  caf::result<std::string> on_get(const get_value& message);

  void advance();
  void announce();
  void tick();

  topology_actor::impl* self_;
  cluster_file file_;
  membership membership_;
  tracer trace_;
  std::map<std::string, node_actor> nodes_;  ///< by name, those heard of
  std::map<std::string, std::string> values_;
  std::map<std::string, std::vector<caf::typed_response_promise<std::string>>> waiting_;  ///< for a value
};

using topology_impl = caf::stateful_actor<topology, topology_actor::impl>;

}  // namespace troupe
