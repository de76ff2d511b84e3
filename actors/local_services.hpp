// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "actors/protocol.hpp"

namespace troupe {

/// How the actors that live in a node's own process are made, at the start and whenever one of them has died.
struct local_service_factories {
  std::size_t tokenizers = 1;
  std::function<tokenizer_actor()> make_tokenizer;
  std::function<detokenizer_actor()> make_detokenizer;
  std::function<router_actor(const text_actors&)> make_router;
  /// Empty: the topology actor is on another node. Each call must give it a greater generation.
  std::function<topology_actor()> make_topology;
};

/// The tokenizers, the detokenizer, the router and, on the first node, the topology actor of a node: each is replaced
/// when it ends, whatever the cause, and none outlives this object. The node watches them and says who has ended.
class local_services {
 public:
  using time_point = caf::actor_clock::time_point;

  static constexpr std::size_t replacements_max = 3;  ///< of one kind of service within the window
  static constexpr std::chrono::seconds replacement_window{60};

  explicit local_services(local_service_factories make);
  local_services(const local_services&) = delete;
  local_services& operator=(const local_services&) = delete;
  ~local_services();

  const router_actor& router() const { return router_; }
  const topology_actor& topology() const { return topology_; }  ///< null but on the first node
  const text_actors& text() const { return text_; }
  std::vector<caf::actor> all() const;

  /// The one of now by its name, as in `replacement`; null when there is none. From any thread.
  caf::actor find(const std::string& service) const;

  struct replacement {
    std::string service;  ///< empty: who has ended was none of these
    caf::actor actor;     ///< to be watched from now on; null when there were too many
  };
  replacement replace(const caf::actor_addr& ended, time_point now);

 private:
  bool may_replace(const std::string& service, time_point now);

  local_service_factories make_;
  mutable std::mutex naming_;  ///< guards the handles, which the node alone replaces, against find
  text_actors text_;
  router_actor router_;
  topology_actor topology_;
  std::map<std::string, std::deque<time_point>> replacements_;  ///< within the window, by service
};

}  // namespace troupe
