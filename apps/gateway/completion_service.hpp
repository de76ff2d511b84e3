// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/generation.hpp"
#include "runtime/request_key.hpp"

namespace troupe {

/// One request in the hands of a completion_service.
using completion_ticket = strong_id<struct completion_ticket_tag>;

/// Why a request was not taken: a code of `describe_error` and a sentence for the client.
struct completion_refusal {
  std::string code;
  std::string message;
  int retry_after_s = 0;  ///< 0: as the code says
};

/// What the service calls back, from any thread, never blocked by it: first exactly one of `accepted` and `refused`;
/// after `accepted` the events, of which exactly one, the last, has a finish reason other than none.
/// They may be called before `submit` returns. After `cancel` they may be called or not.
struct completion_callbacks {
  std::function<void()> accepted;
  std::function<void(completion_refusal)> refused;
  std::function<void(answer_event)> event;
};

struct served_model {
  std::string name;             ///< what requests must name and answers carry
  std::int64_t created_s = 0;   ///< Unix time
  std::uint32_t context = 0;    ///< tokens of prompt and answer
  std::int32_t vocabulary = 0;  ///< token ids are below it
  std::string contract{};       ///< what an interrupted answer promises: bit-exact or continuation; empty: not said
};

struct service_health {
  bool ready = false;
  std::string state;   ///< one word: starting, ready, degraded, draining
  std::string detail;  ///< one sentence; may be empty
};

/// What the gateway needs of the system behind it. Every member may be called from any thread and returns at once.
class completion_service {
 public:
  completion_service() = default;
  completion_service(const completion_service&) = delete;
  completion_service& operator=(const completion_service&) = delete;
  virtual ~completion_service() = default;

  /// Asks for an answer. At most `credit` events are outstanding (called back and not yet credited); without credit
  /// the service merges what comes into the next event. A `key` that was asked for before, and is known still, is the
  /// same request: its answer comes from the beginning, and to whoever asked last.
  virtual completion_ticket submit(generation what, const request_key& key, std::uint32_t credit,
                                   completion_callbacks callbacks) = 0;

  /// The client took `events` more events.
  virtual void credit(completion_ticket ticket, std::uint32_t events) = 0;

  /// The client is gone. Harmless after the last event and for a ticket that is unknown.
  virtual void cancel(completion_ticket ticket) = 0;

  /// The client is gone and may come back with the same key: the answer waits for a while.
  virtual void leave(completion_ticket ticket) = 0;

  virtual served_model model() const = 0;
  virtual service_health health() const = 0;

  /// What it has to say to Prometheus, in its text format.
  virtual std::string metrics() const = 0;

  /// The bytes that a token stands for, which need not be whole characters.
  virtual std::string token_bytes(token_id token) const = 0;
};

}  // namespace troupe
