// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <caf/all.hpp>
#include <caf/byte_buffer.hpp>

#include "tests/simulation/world/process.hpp"
#include "tests/simulation/world/random_stream.hpp"
#include "tests/simulation/world/timeline.hpp"

namespace troupe::simulation {

/// What travels between two processes.
struct frame {
  enum class kind : std::uint8_t { message, watch, down, closed };
  kind what = kind::message;
  std::uint64_t connection = 0;
  caf::node_id sender_node;
  caf::actor_id sender = 0;  ///< 0: anonymous
  caf::actor_id target = 0;
  std::uint64_t message_id = 0;
  caf::byte_buffer payload;
  caf::error reason;  ///< of down
};

struct connect_outcome {
  caf::error failure;
  caf::node_id node;
  caf::strong_actor_ptr actor;
  std::set<std::string> interface;
};

struct network_options {
  std::uint64_t delay_us = 200;   ///< least time between two hosts; a tenth of it inside one
  std::uint64_t jitter_us = 400;  ///< at most so much more
  double spike = 0;               ///< share of messages that take spike_ms more
  std::uint64_t spike_ms = 50;
  bool reorder = false;  ///< messages between different pairs of actors overtake each other
};

/// Everything between processes: connections that carry serialised messages, listening ports, links that can be cut.
/// It behaves as CAF over TCP was measured to: a connection joins two processes; nothing on it is lost or repeated
/// while it lasts; it ends for each side when its peer has died or been silent for 500 ms, and then all proxies of
/// that side die and stay dead; only a new `connect` gives living ones.
class network {
 public:
  network(timeline& time, random_stream random, network_options options);

  void add(process& member);
  process* find(const caf::node_id& node) const;

  // For proxies and doors.
  void send(process& from, const caf::node_id& to, caf::actor_id target, caf::mailbox_element_ptr what);
  void watch(process& from, const caf::node_id& to, caf::actor_id target);
  bool connected(const process& from, const caf::node_id& to) const;
  std::uint16_t publish(process& home, const std::string& host, std::uint16_t port, const caf::strong_actor_ptr& whom,
                        std::set<std::string> interface);
  void connect(process& from, const std::string& host, std::uint16_t port, std::function<void(connect_outcome)> done);

  // For the world and its faults.
  /// The process is about to end: nothing it does while it is taken apart reaches anyone.
  void mute(process& dying);
  /// Cuts the way from one host to another, or mends it. Messages on a way that is cut wait until it is mended.
  void set_cut(const std::string& from, const std::string& to, bool cut);
  bool cut(const std::string& from, const std::string& to) const { return cuts_.count({from, to}) > 0; }
  /// A process has been frozen or thawed.
  void freeze_changed(process& which);
  /// Ends the connection between two processes, as a reset does: each side notices after its own delay.
  void reset(process& a, process& b);
  std::vector<std::pair<process*, process*>> open_connections() const;

  // For observers.
  std::function<void(const process& from, const process& to, const caf::message&)> on_send;
  std::function<void(const process& to, const frame&, const caf::message&)> on_deliver;
  std::function<void(const std::string&)> on_complaint;
  /// Says that a message is to be sent twice.
  std::function<bool(const caf::message&)> repeat;
  void tell_delivered(const process& to, const frame& which, const caf::message& payload) {
    if (on_deliver) on_deliver(to, which, payload);
  }
  void complain(const std::string& what) {
    if (on_complaint) on_complaint(what);
  }

  std::uint64_t leaked_systems = 0;
  std::uint64_t frames = 0;
  std::uint64_t lost_connections = 0;

 private:
  using pair_key = std::pair<std::uint32_t, std::uint32_t>;  ///< process ids
  /// One direction of a connection, named (from, to); `open` is what `from` believes.
  struct way {
    bool open = true;
    bool usable = true;
    std::uint64_t changes = 0;  ///< of `usable`
    instant unusable_since{};
    instant last_arrival{};
    std::map<std::pair<caf::actor_id, caf::actor_id>, instant> last_of_pair;
    std::deque<frame> held;  ///< arrived while nothing could be delivered
  };
  struct connection {
    std::uint64_t id = 0;
    bool broken = false;  ///< nothing gets through any more, and neither side has to know yet
    way forward;          ///< from the lower process id
    way backward;
    process* low = nullptr;
    process* high = nullptr;
  };
  struct listener {
    process* home = nullptr;
    caf::actor_addr actor;
    caf::actor_id id = 0;
    std::set<std::string> interface;
  };

  static pair_key key_of(const process& a, const process& b);
  connection* find(const process& a, const process& b);
  way& way_of(connection& between, const process& from) const;
  process& peer_of(connection& between, const process& of) const;
  span delay(const process& from, const process& to);
  void put(process& from, process& to, frame what);
  void arrive(std::uint32_t from, std::uint32_t to, frame what);
  void hand_over(connection& between, process& from, process& to, frame what);
  void flush(process& from, process& to);
  void refresh(connection& between, process& from);
  void check_silence(std::uint32_t from, std::uint32_t to, std::uint64_t id, std::uint64_t changes);
  void close_side(connection& between, process& side, const caf::error& reason);
  void establish(process& from, const std::string& host, std::uint16_t port, int tries,
                 const std::function<void(connect_outcome)>& done);
  void drop_if_closed(const pair_key& key);
  process* by_id(std::uint32_t id) const;

  timeline& time_;
  random_stream random_;
  network_options options_;
  std::map<std::uint32_t, process*> members_;
  std::map<pair_key, connection> connections_;
  std::map<std::pair<std::string, std::uint16_t>, listener> listeners_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::set<std::uint32_t> muted_;
  std::uint64_t connections_made_ = 0;
  std::uint16_t next_port_ = 20000;
};

}  // namespace troupe::simulation
