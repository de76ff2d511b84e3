// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/sampling_params.hpp"

namespace troupe {

/// A stream of tokens to make, as a group's scheduler is asked for it. Everything needed to go on elsewhere is in it:
/// a request enqueued with tokens already generated continues at position `tokens.size()`.
struct generation_request {
  request_id id;
  std::vector<token_id> tokens;     ///< the prompt, then the tokens generated so far
  std::uint32_t prompt_tokens = 0;  ///< how many of `tokens` are prompt; stops.max_tokens counts from here
  sampling_params sampling;
  stop_conditions stops;
  std::int32_t priority = 0;  ///< a greater one is served first
  /// Not 0: a group crashed while it ran, so it runs alone until it has this many tokens, and the router is asked
  /// first.
  std::uint32_t trial_until = 0;

  friend bool operator==(const generation_request&, const generation_request&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, generation_request& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("tokens", x.tokens), f.field("prompt_tokens", x.prompt_tokens),
                            f.field("sampling", x.sampling), f.field("stops", x.stops), f.field("priority", x.priority),
                            f.field("trial_until", x.trial_until));
}

}  // namespace troupe
