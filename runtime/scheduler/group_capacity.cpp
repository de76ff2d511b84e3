// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/group_capacity.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace troupe {

group_capacity agree(std::span<const load_report> reports) {
  if (reports.empty()) throw std::invalid_argument("a group without ranks has no KV blocks");
  group_capacity capacity{reports[0].blocks, reports[0].block_tokens};
  for (std::size_t rank = 0; rank < reports.size(); ++rank) {
    if (reports[rank].block_tokens != capacity.block_tokens)
      throw std::invalid_argument(fmt::format("rank {} has blocks of {} tokens and rank 0 of {}", rank,
                                              reports[rank].block_tokens, capacity.block_tokens));
    capacity.blocks = std::min(capacity.blocks, reports[rank].blocks);
  }
  return capacity;
}

}  // namespace troupe
