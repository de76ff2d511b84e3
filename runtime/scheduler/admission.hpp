// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "runtime/request.hpp"
#include "runtime/scheduler/expected_wait.hpp"
#include "runtime/scheduler/scheduler_options.hpp"
#include "runtime/scheduler/scheduler_stats.hpp"

namespace troupe {

enum class refusal : std::uint8_t {
  none,
  queue_full,        ///< as many requests wait as may; try again later or elsewhere
  empty_prompt,      ///< no token to start from
  malformed,         ///< counts that contradict each other; a bug of the caller
  context_too_long,  ///< the tokens leave no room for another one in the model's context
  never_fits,        ///< the tokens do not fit in all KV blocks of this group together
  duplicate,         ///< a request of this id is not finished yet
  would_wait,        ///< the wait that is expected is over the bound; try again after `admission::retry_after_us`
  nothing_left,      ///< a resumed request that had ended already; `admission::finish` says how
};

std::string to_string(refusal x);

/// The answer to `scheduler::enqueue`.
struct admission {
  refusal reason = refusal::none;
  std::string sentence;                        ///< why it was refused, with the numbers; empty when accepted
  finish_reason finish = finish_reason::none;  ///< set with refusal::nothing_left
  std::uint64_t retry_after_us = 0;            ///< set with refusal::would_wait
  std::uint64_t closed_us = 0;  ///< with it: for how long any request of this priority would be refused, however small

  bool accepted() const { return reason == refusal::none; }
};

/// What the caller knows of a request that the request does not say.
struct entry_terms {
  bool promised = false;          ///< its client was told that it is accepted: it is not refused for its wait
  std::uint64_t step_age_us = 0;  ///< for how long the oldest step in flight has been under way
};

/// Judges what a request would wait, against the bound. `least` is the wait of the smallest request.
admission judge_wait(const expected_wait& wait, const expected_wait& least, std::uint32_t max_wait_ms,
                     const scheduler_stats& now);

/// Judges a request by itself; the queue and the requests already there are the scheduler's.
admission judge(const generation_request& request, const scheduler_options& options);

}  // namespace troupe
