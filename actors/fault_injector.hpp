// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/fault_actions.hpp"
#include "actors/protocol.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

struct fault_injector_options {
  std::string node;
  bool first = false;                    ///< of the topology file: the other nodes connect to it, not it to them
  std::set<std::uint16_t> node_ports{};  ///< of the other nodes
  std::function<caf::actor(fault_role)> find_actor{};  ///< of this process, by role; null when it has none of it
  fault_actions actions{};
  tracer trace{};
};

/// Breaks on purpose what one node runs: its process, its actors, its ranks. It exists only where the topology file
/// allows faults; nothing of the product knows it but the node, which passes on what it is asked.
class fault_injector {
 public:
  static inline const char* name = "fault-injector";

  fault_injector(fault_injector_actor::impl* self, fault_injector_options options);

  fault_injector_actor::behavior_type make_behavior();

 private:
  using rank_key = std::pair<std::string, std::uint32_t>;
  struct known_rank {
    std::uint64_t process = 0;
    rank_injector_actor injector;
  };

  caf::result<std::uint64_t> on_inject(inject_here& message);
  void on_ready(const rank_injector_ready& message);
  caf::result<fault_list> on_list();
  void on_clear();

  std::string find_problem(const fault& what, const cluster_view& view) const;
  void begin(const fault& what, const cluster_view& view);
  void break_node(const fault& what, const cluster_view& view);
  void break_rank(const fault& what);
  void freeze_rank(const fault& what, std::uint64_t process);
  void cut(const std::set<std::uint16_t>& ports, caf::actor_clock::time_point end, std::uint64_t round);

  fault_injector_actor::impl* self_;
  fault_injector_options options_;
  std::map<rank_key, known_rank> ranks_;
  std::vector<fault> poisons_;              ///< crashes by a token, for every life of their ranks
  std::map<std::uint64_t, fault> pending_;  ///< those that wait for their time, and those that last here
  std::uint64_t next_ = 1;
  std::uint64_t round_ = 0;  ///< counts clearings
};

using fault_injector_impl = caf::stateful_actor<fault_injector, fault_injector_actor::impl>;

}  // namespace troupe
