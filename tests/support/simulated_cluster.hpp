// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "actors/resumer.hpp"
#include "actors/router.hpp"
#include "actors/thread_launcher.hpp"
#include "runtime/engine/scripted_executor.hpp"
#include "tests/support/deterministic_system.hpp"

namespace troupe {

/// A rank that joins an epoch, in which life of its place.
struct scripted_start {
  std::string group;
  std::uint32_t rank = 0;
  std::uint64_t incarnation = 0;
};

/// How a simulated group computes; asked whenever a rank joins an epoch.
using script = std::function<scripted_options(const scripted_start&)>;

struct simulated_cluster_options {
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;
  std::uint32_t groups = 1;
  std::uint32_t blocks = 256;
  std::uint32_t max_queue = 64;
  std::uint32_t max_sequences = 256;
  std::uint32_t max_wait_ms = 0;
  std::chrono::milliseconds step{0};  ///< how long each step of an engine takes; all engines share one thread
  std::uint32_t context = 512;
  std::int32_t vocabulary_size = 1000;
  std::uint32_t routers = 1;  ///< all of them know all groups
  script ranks{};             ///< empty: nothing goes wrong
};

/// Every actor of a one-node cluster on one thread and simulated time, with scripted executors instead of a model.
class simulated_cluster : public deterministic_system {
 public:
  explicit simulated_cluster(simulated_cluster_options options = {});
  ~simulated_cluster();

  /// What a client has got of one request.
  struct client_view {
    bool accepted = false;
    std::string refusal;  ///< code of the error that `submit` was answered with
    std::string refusal_sentence;
    std::chrono::milliseconds retry_after{0};
    request_id request;
    std::vector<token_id> tokens;
    std::vector<answer_event> events;
    bool ended() const { return !events.empty() && events.back().finish != finish_reason::none; }
    const answer_event& last() const { return events.back(); }
  };

  /// Submits a request of token ids from a client of its own; `view(ticket)` tells what came back.
  std::uint64_t submit_tokens(std::vector<token_id> prompt, std::uint32_t max_tokens, std::uint32_t credit = 1000);
  std::uint64_t submit_generation(generation what, std::uint32_t credit = 1000);
  const client_view& view(std::uint64_t ticket) const { return *views_.at(ticket); }
  /// The same with everything a client can say, at router `at`.
  std::uint64_t submit_to(std::uint32_t at, submit message);
  /// A client that takes its request up elsewhere by itself when its router is lost.
  std::uint64_t submit_resuming(generation what, std::uint32_t credit = 1000);
  void lose_router(std::uint32_t at);
  void grant_answers(std::uint64_t ticket, std::uint32_t answers);
  void cancel_request(std::uint64_t ticket);
  void lose_client(std::uint64_t ticket);
  /// Returns true once the node has answered that it is drained.
  std::shared_ptr<bool> drain_node();

  /// The tokens a scripted group must give after `prompt`.
  std::vector<token_id> foretold(std::vector<token_id> prompt, std::size_t count) const;

  router_status router_state(std::uint32_t at = 0);
  group_statistics group_state(const std::string& group = "g0");
  cluster_view cluster_state();

  router_actor router;  ///< the first of them
  std::vector<router_actor> routers;
  node_actor node;

 private:
  simulated_cluster_options options_;
  topology_actor topology_;
  std::vector<caf::actor> all_;
  std::map<std::uint64_t, std::shared_ptr<client_view>> views_;
  std::map<std::uint64_t, caf::actor> clients_;
  std::uint64_t tickets_ = 0;
  resumer_actor agent_;
};

}  // namespace troupe
