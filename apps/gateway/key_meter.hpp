// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/token_bucket.hpp"

namespace troupe {

/// What the holder of one API key may use; 0: as much as there is.
struct key_limits {
  std::uint32_t requests_per_minute = 0;
  std::uint32_t tokens_per_minute = 0;  ///< of prompts and answers
  std::uint32_t concurrent = 0;         ///< requests at a time

  friend bool operator==(const key_limits&, const key_limits&) = default;
};

/// Holds one key to its limits, at one gateway. Tokens are counted when an answer has ended, so that what is under way
/// may go beyond them once; what is over is made good before the next request.
class key_meter {
 public:
  using time_point = token_bucket::time_point;

  explicit key_meter(const key_limits& limits);

  /// Counts a request, or says which limit is reached and when to come back; then nothing is counted.
  std::optional<api_error> begin(time_point now);
  /// Of a request that begin() counted, whatever became of it.
  void end(std::uint64_t tokens, time_point now);

 private:
  key_limits limits_;
  token_bucket requests_;
  token_bucket tokens_;
  std::uint32_t running_ = 0;
};

/// Ends what a meter has begun, on every way out. The meter outlives it.
class metered_request {
 public:
  explicit metered_request(key_meter& meter) : meter_(meter) {}
  metered_request(const metered_request&) = delete;
  metered_request& operator=(const metered_request&) = delete;
  ~metered_request() { meter_.end(tokens, token_bucket::time_point::clock::now()); }

  std::uint64_t tokens = 0;

 private:
  key_meter& meter_;
};

}  // namespace troupe
