// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"

namespace troupe {

struct peer_probe_options {
  std::string from;  ///< the node that probes
  network_actor network;
  endpoint door;                            ///< of the node that is probed
  std::chrono::milliseconds timeout{3000};  ///< for each answer
};

using peer_probe_actor = caf::typed_actor<caf::result<probe_report>(probe_node)>;

/// Finds out how one node reaches another: connects, times small echoes one after the other, then moves parcels. One
/// probe, then it ends. It may wait for the network, so it is spawned detached.
class peer_probe {
 public:
  static inline const char* name = "peer-probe";

  peer_probe(peer_probe_actor::impl* self, peer_probe_options options);

  peer_probe_actor::behavior_type make_behavior();

 private:
  using clock = std::chrono::steady_clock;

  caf::result<probe_report> on_probe(const probe_node& message);
  void reach();
  void next_round();
  void send_parcel();
  void on_parcel();
  void finish(std::string problem = {});

  peer_probe_actor::impl* self_;
  peer_probe_options options_;
  probe_node order_;
  probe_report report_;
  caf::typed_response_promise<probe_report> promise_;
  peer_probe_actor myself_;  ///< nobody else holds it while it waits; until finish
  node_actor peer_;
  std::vector<std::uint64_t> round_trips_us_;
  std::uint32_t parcels_sent_ = 0;
  std::uint32_t parcels_back_ = 0;
  clock::time_point begin_;  ///< of the round, then of the parcels
};

using peer_probe_impl = caf::stateful_actor<peer_probe, peer_probe_actor::impl>;

}  // namespace troupe
