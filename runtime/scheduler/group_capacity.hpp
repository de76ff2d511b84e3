// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "runtime/engine/executor.hpp"

namespace troupe {

/// What the scheduler of a group may plan with: every rank holds every block, so the tightest rank decides.
struct group_capacity {
  std::uint32_t blocks = 0;        ///< the smallest of the ranks
  std::uint32_t block_tokens = 0;  ///< the same on every rank
};

/// Reports in rank order. Throws std::invalid_argument naming the ranks when there are none or their block sizes
/// differ.
group_capacity agree(std::span<const load_report> reports);

}  // namespace troupe
