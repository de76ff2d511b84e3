// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "apps/gateway/completion_service.hpp"
#include "apps/gateway/gateway_options.hpp"

namespace troupe {

/// The OpenAI-compatible HTTP server: one thread, one address, in front of a completion_service that outlives it.
/// POST /v1/chat/completions and /v1/completions; GET /v1/models, /v1/models/NAME, /health, /ready, /live and /metrics.
class gateway {
 public:
  /// Listens at once. Throws std::runtime_error when the address cannot be had.
  gateway(gateway_options options, completion_service& service);
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;
  /// Ends every connection and cancels what runs. Call `drain` before it to let that finish.
  ~gateway();

  std::uint16_t port() const;

  /// Accepts no more connections and closes each one after the request that runs on it. Returns at once.
  void drain();
  /// True when, after `drain`, no connection was left within `time`.
  bool wait_drained(std::chrono::milliseconds time);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe
