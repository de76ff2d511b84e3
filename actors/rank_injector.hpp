// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "actors/fault_actions.hpp"
#include "actors/protocol.hpp"
#include "actors/thread_launcher.hpp"
#include "runtime/fault/fault_script.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

/// Breaks one rank from within its process: gives its engine's script what the engine is to do, and closes connections.
/// It exists only where faults are allowed, and ends with its node.
class rank_injector {
 public:
  static inline const char* name = "rank-injector";

  rank_injector(rank_injector_actor::impl* self, node_actor node, std::shared_ptr<fault_script> script,
                fault_actions actions);

  rank_injector_actor::behavior_type make_behavior();

 private:
  void on_inject(const fault& what);
  void cut(caf::actor_clock::time_point end, std::uint64_t round);

  rank_injector_actor::impl* self_;
  node_actor node_;
  std::shared_ptr<fault_script> script_;
  fault_actions actions_;
  group_view view_;
  std::uint64_t round_ = 0;  ///< counts clearings: what lasts and is of an older one stops
};

using rank_injector_impl = caf::stateful_actor<rank_injector, rank_injector_actor::impl>;

/// A rank whose engine fails when it is told to.
rank_parts with_faults(caf::actor_system& system, const node_actor& node, rank_parts parts, fault_actions actions,
                       tracer trace);

}  // namespace troupe
