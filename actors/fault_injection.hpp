// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/client.hpp"
#include "runtime/fault/fault.hpp"

namespace troupe {

/// When a fault comes; default: at once.
struct fault_moment {
  std::uint64_t at_step = 0;
  std::uint64_t after_tokens = 0;
  std::chrono::milliseconds after{0};
};

/// For tests of one's own programs: breaks a cluster on purpose, as `troupe inject` does, from C++. The cluster may be
/// in this process or elsewhere; its topology file must say `allow_faults: true`.
///
///     fault_injection faults{system, cluster};
///     faults.kill(rank_at("g0", 1), after_tokens(20));
class fault_injection {
 public:
  /// `entry` is any node of the cluster.
  fault_injection(caf::actor_system& system, const client& entry) : system_(&system), entry_(entry) {}

  // Each returns the fault's number, and throws client_error when the cluster does not take it.
  std::uint64_t kill(fault_target who, fault_moment when = {});
  std::uint64_t freeze(fault_target who, std::chrono::milliseconds span, fault_moment when = {});
  std::uint64_t slow(fault_target who, double factor, std::chrono::milliseconds delay = {}, fault_moment when = {});
  std::uint64_t drop(fault_target who, std::chrono::milliseconds span, fault_moment when = {});
  std::uint64_t wrong_token(fault_target who, fault_moment when = {});
  std::uint64_t hang(fault_target who, std::chrono::milliseconds span = {}, fault_moment when = {});

  /// Any fault, at the node that its target is on.
  std::uint64_t inject(const fault& what);

  /// What waits or lasts in the whole cluster, each in a line. A node that does not answer has none.
  std::vector<std::string> list();

  /// Takes back what waits and ends what lasts.
  void clear();

 private:
  std::uint64_t inject(fault_kind kind, fault_target who, fault_moment when, std::chrono::milliseconds span);
  node_actor node_of(const fault_target& who);
  std::vector<node_actor> all_nodes();

  caf::actor_system* system_;
  client entry_;
};

// Whom a fault meets, and when, in words that read well in a test.
inline fault_target rank_at(std::string group, std::uint32_t number) {
  return {fault_role::rank, {}, std::move(group), number};
}
inline fault_target engine_at(std::string group, std::uint32_t number) {
  return {fault_role::engine, {}, std::move(group), number};
}
inline fault_target actor_at(fault_role role, std::string node = {}) { return {role, std::move(node), {}, 0}; }
inline fault_moment at_step(std::uint64_t step) { return {step, 0, {}}; }
inline fault_moment after_tokens(std::uint64_t tokens) { return {0, tokens, {}}; }
inline fault_moment after(std::chrono::milliseconds span) { return {0, 0, span}; }

}  // namespace troupe
