// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/scheduler/pace.hpp"

namespace troupe {

/// A sequence that holds a place and blocks, as far as its end is concerned.
struct running_load {
  double tokens_left = 0;  ///< until its length ends it
  bool may_stop = true;    ///< it may end before
  double blocks = 0;       ///< come free with its end, those that it will have taken until then included
};

/// A request that waits, or asks to.
struct waiting_load {
  double prompt_tokens = 0;  ///< to be read before its first token
  double tokens = 0;         ///< that it may make at most
  bool may_stop = true;
  double blocks = 0;  ///< for its prompt and the tokens that it is expected to make
};

/// What is before a new request: everything that its wait follows from.
struct group_prospect {
  double places_free = 0;          ///< sequences that may run beside those that do
  double blocks_free = 0;          ///< without those that the running ones are expected to take
  double blocks = 0;               ///< of the group
  double prompt_tokens_ahead = 0;  ///< read before its own, as the scheduler shares its steps out
  double batch_tokens = 1;         ///< most that a step feeds
  double overdue_us = 0;           ///< for how long the step under way has been due
  std::vector<running_load> running;
  std::vector<waiting_load> ahead;  ///< in the order of their turns
};

enum class wait_cause : std::uint8_t { nothing, places, blocks, prompts };

std::string_view to_string(wait_cause x);

/// Until the reading of a request's prompt begins, less the step that is under way in any case.
struct expected_wait {
  double us = 0;
  wait_cause cause = wait_cause::nothing;  ///< what is waited for longest
};

/// How many tokens are expected of a sequence that ends at the latest after `most`.
double expected_tokens(double most, bool may_stop, double stop_rate);

/// The wait that is expected, up to 8 x `scale_us`; exact to a sixteenth of `scale_us`. A request before which there is
/// nothing never waits, however large it is.
expected_wait expect_wait(const group_prospect& load, const waiting_load& request, const pace_figures& pace,
                          double scale_us);

}  // namespace troupe
