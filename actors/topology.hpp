// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/generation_store.hpp"
#include "actors/protocol.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// What the topology actor needs of the outside world. Everything may be left out where it has to serve one run only.
struct topology_surroundings {
  std::shared_ptr<generation_store> store;  ///< of this machine's disk; null: generations are not written down
  /// Throws std::invalid_argument for a file that nodes of this build could not serve; empty: nothing is looked at.
  std::function<void(const cluster_file&)> check;
  tracer trace{};
};

/// Gives the cluster's membership a mailbox: what nodes report goes in, the view goes to every node, on change and
/// again and again. Also the meeting place where ranks of several hosts exchange the addresses of their communicators.
/// It waits for a disk when it writes the generation, once after its start, before anything depends on it, and when an
/// operator drains something.
class topology {
 public:
  static inline const char* name = "topology";

  topology(topology_actor::impl* self, cluster_file file, membership_options options,
           topology_surroundings surroundings = {});

  topology_actor::behavior_type make_behavior();

 private:
  caf::result<void> on_node(const node_reported& message);
  void on_renew(const renew_lease& message);
  caf::result<void> on_drain(const drain_place& message);
  caf::result<void> on_restart(restart_rank& message);
  caf::result<void> on_change(const change_topology& message);
  caf::result<void> on_put(put_value& message);
  caf::result<std::string> on_get(const get_value& message);

  void advance();
  void announce();
  void tick();
  void write_generation();
  void take_over_drains();
  void log_changes(const cluster_view& before) const;

  topology_actor::impl* self_;
  membership membership_;
  topology_surroundings surroundings_;
  std::map<std::string, node_actor> nodes_;  ///< by name, those heard of
  std::string changed_text_;                 ///< of the topology file in force, when it is not the first one
  std::uint64_t ticks_ = 0;
  caf::actor_clock::time_point next_write_{};  ///< when a generation that could not be written is tried again
  std::map<std::string, std::string> values_;
  std::map<std::string, std::vector<caf::typed_response_promise<std::string>>> waiting_;  ///< for a value
};

using topology_impl = caf::stateful_actor<topology, topology_actor::impl>;

}  // namespace troupe
