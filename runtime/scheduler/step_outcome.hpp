// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// A token that a step gave a request.
struct new_token {
  std::uint32_t position = 0;  ///< in prompt and output counted together
  token_id token = 0;
  float logprob = 0;
  std::vector<token_logprob> top;

  friend bool operator==(const new_token&, const new_token&) = default;
};

/// What one request got from a step. The token that ended it (an EOS or stop id) is in `tokens`.
struct request_update {
  request_id request;
  std::vector<new_token> tokens;               ///< in order of position; empty when aborted
  finish_reason finish = finish_reason::none;  ///< not none: this is the request's last update
  std::uint32_t cached_tokens = 0;             ///< prompt tokens that were not computed because their KV was there
};

/// The requests that a completed step moved or ended. A request has one last update, and none after it.
struct step_outcome {
  std::vector<request_update> updates;
};

template <class Inspector>
bool inspect(Inspector& f, new_token& x) {
  return f.object(x).fields(f.field("position", x.position), f.field("token", x.token), f.field("logprob", x.logprob),
                            f.field("top", x.top));
}

template <class Inspector>
bool inspect(Inspector& f, request_update& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("tokens", x.tokens), f.field("finish", x.finish),
                            f.field("cached_tokens", x.cached_tokens));
}

}  // namespace troupe
