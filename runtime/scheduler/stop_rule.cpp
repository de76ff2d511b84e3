// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/stop_rule.hpp"

#include <algorithm>

namespace troupe {

bool is_stop(token_id token, const stop_conditions& stops, std::span<const token_id> eos_ids) {
  if (std::ranges::find(stops.stop_ids, token) != stops.stop_ids.end()) return true;
  return !stops.ignore_eos && std::ranges::find(eos_ids, token) != eos_ids.end();
}

bool may_stop(const stop_conditions& stops, std::span<const token_id> eos_ids) {
  return !stops.stop_ids.empty() || (!stops.ignore_eos && !eos_ids.empty());
}

std::uint32_t length_limit(const generation_request& request, const scheduler_options& options) {
  const auto asked = std::uint64_t{request.prompt_tokens} + request.stops.max_tokens;
  const auto memory = std::uint64_t{options.blocks} * options.block_tokens + 1;
  return static_cast<std::uint32_t>(std::min({asked, memory, std::uint64_t{options.context_length}}));
}

}  // namespace troupe
