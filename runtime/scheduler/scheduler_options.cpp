// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/scheduler_options.hpp"

#include <limits>

#include <fmt/format.h>

namespace troupe {

std::string find_error(const scheduler_options& options) {
  constexpr std::uint64_t greatest = std::numeric_limits<std::int32_t>::max();
  struct range {
    const char* name;
    std::uint64_t value, low, high;
  };
  const range ranges[] = {
      {"blocks", options.blocks, 1, greatest},
      {"block_tokens", options.block_tokens, 1, 4096},
      {"context_length", options.context_length, 2, greatest},
      {"max_sequences", options.max_sequences, 1, 1 << 20},
      {"max_batch_tokens", options.max_batch_tokens, 1, greatest},
      {"max_chunk_tokens", options.max_chunk_tokens, 0, greatest},
      {"max_queue", options.max_queue, 1, greatest},
      {"max_wait_ms", options.max_wait_ms, 0, 3'600'000},
      {"plans_in_flight", options.plans_in_flight, 1, 64},
      {"the tokens that all blocks hold", std::uint64_t{options.blocks} * options.block_tokens, 1, greatest - 1}};
  for (const auto& [name, value, low, high] : ranges)
    if (value < low || value > high)
      return fmt::format("{} is {} and must be between {} and {}", name, value, low, high);
  return {};
}

}  // namespace troupe
