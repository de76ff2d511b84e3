// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/protocol.hpp"
#include "actors/resumer.hpp"

namespace troupe {

/// A request was refused, or the cluster cannot be reached. `code` is the name in actors/errors.hpp.
class client_error : public std::runtime_error {
 public:
  client_error(std::string code, const std::string& sentence, std::chrono::milliseconds retry_after = {})
      : std::runtime_error(sentence), code_(std::move(code)), retry_after_(retry_after) {}
  const std::string& code() const { return code_; }
  /// With `overloaded`: after how long the same may be accepted. 0: not said.
  std::chrono::milliseconds retry_after() const { return retry_after_; }

 private:
  std::string code_;
  std::chrono::milliseconds retry_after_;
};

/// The answer to one request, piece by piece, for a thread that may wait. Iterate it, or call next(). It goes on at
/// another router when one is lost.
class generation_stream {
 public:
  generation_stream(generation_stream&&) noexcept;
  generation_stream& operator=(generation_stream&&) noexcept;
  ~generation_stream();  ///< cancels what has not ended

  const accepted& info() const { return info_; }

  /// Waits for the next piece. Nothing after the last one, whose finish reason is not none. Throws client_error when
  /// `silence_limit` passes without a piece or no router is left.
  std::optional<answer_event> next();

  /// The request ends with finish_reason::abort; next() gives what comes until then.
  void cancel();

  void set_silence_limit(std::chrono::milliseconds limit) { silence_limit_ = limit; }

  class iterator {
   public:
    using value_type = answer_event;
    using difference_type = std::ptrdiff_t;
    explicit iterator(generation_stream& stream) : stream_(&stream), event_(stream.next()) {}
    const answer_event& operator*() const { return *event_; }
    const answer_event* operator->() const { return &*event_; }
    iterator& operator++() {
      event_ = stream_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !event_; }

   private:
    generation_stream* stream_;
    std::optional<answer_event> event_;
  };
  iterator begin() { return iterator{*this}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class client;
  generation_stream(caf::actor_system& system, std::shared_ptr<const resumer_actor> agent);

  std::unique_ptr<caf::scoped_actor> sink_;
  std::shared_ptr<const resumer_actor> agent_;  ///< ends with the last client and stream that use it
  accepted info_;
  bool ended_ = false;
  std::chrono::milliseconds silence_limit_{600'000};
};

/// A program's way into a cluster. Everything waits and throws; a program made of actors sends `submit` to agent()
/// instead and gets `answer` messages at its own sink.
class client {
 public:
  /// Reaches a node. Throws client_error naming the address.
  static client connect(caf::actor_system& system, const std::string& host, std::uint16_t port,
                        std::chrono::milliseconds timeout = std::chrono::seconds(5));

  /// Reaches the first node that answers; requests go on at the others when one is lost. Throws client_error naming the
  /// addresses.
  static client connect(caf::actor_system& system, const std::vector<endpoint>& nodes,
                        std::chrono::milliseconds timeout = std::chrono::seconds(5));

  client(caf::actor_system& system, node_actor node, std::chrono::milliseconds timeout = std::chrono::seconds(5));

  /// Returns when the request is accepted; throws client_error when it is refused.
  generation_stream generate(generation what);

  node_status status() const;
  group_statistics statistics(const std::string& group) const;

  /// Waits until a group serves. False when `limit` has passed; `waits_for`, if given, is told what is waited for.
  bool wait_until_ready(std::chrono::milliseconds limit,
                        const std::function<void(const cluster_view&)>& waits_for = {}) const;

  const node_actor& node() const { return node_; }
  /// To an actor it is a router that is never lost.
  const resumer_actor& agent() const { return *agent_; }
  /// The router of the node that was reached; it may be lost.
  const router_actor& router() const { return router_; }

 private:
  client(caf::actor_system& system, node_actor node, std::vector<cluster_door> doors,
         std::chrono::milliseconds timeout);

  caf::actor_system* system_;
  std::chrono::milliseconds timeout_;
  node_actor node_;
  router_actor router_;
  std::shared_ptr<const resumer_actor> agent_;
};

}  // namespace troupe
