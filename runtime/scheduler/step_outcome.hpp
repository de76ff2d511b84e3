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
};

/// The requests that a completed step moved or ended. A request has one last update, and none after it.
struct step_outcome {
  std::vector<request_update> updates;
};

}  // namespace troupe
