// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actors/connect.hpp"
#include "actors/protocol.hpp"
#include "runtime/resumption.hpp"

namespace troupe {

/// A way into the cluster: an address of a node, or the node itself where it is in this process.
struct cluster_door {
  endpoint where;
  node_actor node{};
};

struct resumer_options {
  std::vector<cluster_door> doors;
  network_actor network;          ///< null where all doors are in this process
  resumption_options resumption;  ///< but for the number of doors
  std::chrono::milliseconds connect_timeout{2'000};
  std::function<request_key()> make_key = make_request_key;  ///< for requests that come without one
};

/// Gives `resumption` a mailbox: submits a program's requests to a router of the cluster and, when that is lost, silent
/// or wrong, to another or the same again, until each has ended. Its clients see one uninterrupted answer.
class resumer {
 public:
  static inline const char* name = "resumer";

  resumer(resumer_actor::impl* self, resumer_options options);

  resumer_actor::behavior_type make_behavior();

 private:
  struct ongoing {
    resumption logic;
    std::uint64_t ticket = 0;  ///< the client's
    answer_sink_actor sink;
    caf::typed_response_promise<accepted> acceptance;  ///< pending until some router has taken it
    std::uint32_t window = 0;                          ///< pieces the client takes without a grant
    std::uint32_t untaken = 0;                         ///< pieces it has been given and has not granted
    request_id id;                                     ///< the client's name for it: the first router's
    std::uint64_t attempt = 0;                         ///< ticket of the last submission
    router_actor router;                               ///< that was asked last
    request_id upstream;                               ///< its name there; none until it has accepted
  };
  struct door_state {
    cluster_door way;
    router_actor router;  ///< null until it is reached
    bool reaching = false;
    std::vector<std::uint64_t> waiting;  ///< entries to be submitted once it is reached
  };
  using entry_map = std::map<std::uint64_t, ongoing>;

  caf::result<accepted> on_submit(submit& message);
  void on_cancel(const cancel& message);
  void on_grant(const grant& message);
  void on_answer(answer& message);
  void on_down(const caf::down_msg& down);

  void advance(std::uint64_t number);
  void submit_now(std::uint64_t number, resumption::submission ask);
  void on_accepted(std::uint64_t number, std::uint64_t attempt, const accepted& info, const router_actor& router);
  void on_refused(std::uint64_t number, std::uint64_t attempt, const caf::error& reason);
  void reach(std::size_t door);
  void ask_for_router(std::size_t door);
  void on_reached(std::size_t door, router_actor router);
  void on_unreached(std::size_t door, const caf::error& reason);
  void give(ongoing& to, answer_event event);
  void end(entry_map::iterator found);
  void tick();
  entry_map::iterator find(request_id id);
  std::chrono::steady_clock::time_point now() const { return self_->clock().now(); }

  resumer_actor::impl* self_;
  resumer_options options_;
  std::vector<door_state> doors_;
  entry_map entries_;                                ///< by a number of their own
  std::map<std::uint64_t, std::uint64_t> attempts_;  ///< entries by the ticket of their last submission
  std::map<request_id, std::uint64_t> ids_;          ///< entries by the client's name
  std::set<caf::actor_addr> watched_;                ///< only looked up, never walked
  retry_budget budget_;
  std::uint64_t numbers_ = 0;
  std::uint64_t tickets_ = 0;
};

using resumer_impl = caf::stateful_actor<resumer, resumer_actor::impl>;

}  // namespace troupe
