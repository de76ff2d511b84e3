// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/connect.hpp"

namespace troupe {

struct dialer_options {
  caf::io::middleman_actor network;                   ///< CAF's own
  std::function<caf::io::middleman_actor()> another;  ///< makes one more like it
  std::chrono::milliseconds reach_limit{1'000};       ///< for a host to take a TCP connection
  std::chrono::milliseconds connect_limit{4'000};     ///< for the process behind it to say who it is
};

/// Opens and reaches ports as CAF's own network actor does, and is never held up: that one waits for each connection
/// in turn, for minutes when a host is silent (TCP's first packet is repeated after 1, 2, 4 ... 64 s), and all others
/// of the process wait behind it. Here each host is tried first by an actor of its own for `reach_limit`; a network
/// actor that is caught nevertheless, by a cable that was cut just then, is left to itself and another one is used.
class dialer {
 public:
  static inline const char* name = "dialer";

  dialer(network_actor::impl* self, dialer_options options);

  network_actor::behavior_type make_behavior();

 private:
  using connected = caf::typed_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>;

  void dial(const endpoint& door, connected promise);
  void on_held_up(const caf::io::middleman_actor& network);

  network_actor::impl* self_;
  dialer_options options_;
  caf::io::middleman_actor dials_;  ///< replaced when it is held up; each ends by itself when TCP gives up
};

using dialer_impl = caf::stateful_actor<dialer, network_actor::impl>;

}  // namespace troupe
