// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "runtime/request.hpp"
#include "runtime/scheduler/scheduler_options.hpp"

namespace troupe {

enum class refusal : std::uint8_t {
  none,
  queue_full,        ///< as many requests wait as may; try again later or elsewhere
  empty_prompt,      ///< no token to start from
  malformed,         ///< counts that contradict each other; a bug of the caller
  context_too_long,  ///< the tokens leave no room for another one in the model's context
  never_fits,        ///< the tokens do not fit in all KV blocks of this group together
  duplicate,         ///< a request of this id is not finished yet
  nothing_left,      ///< a resumed request that had ended already; `admission::finish` says how
};

std::string to_string(refusal x);

/// The answer to `scheduler::enqueue`.
struct admission {
  refusal reason = refusal::none;
  std::string sentence;                        ///< why it was refused, with the numbers; empty when accepted
  finish_reason finish = finish_reason::none;  ///< set with refusal::nothing_left

  bool accepted() const { return reason == refusal::none; }
};

/// Judges a request by itself; the queue and the requests already there are the scheduler's.
admission judge(const generation_request& request, const scheduler_options& options);

}  // namespace troupe
