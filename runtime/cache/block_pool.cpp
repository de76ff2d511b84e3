// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/block_pool.hpp"

#include <cassert>

namespace troupe {

block_pool::block_pool(std::uint32_t blocks) : is_free_(blocks, true) {
  free_.reserve(blocks);
  for (auto block = static_cast<block_id>(blocks); block-- > 0;)
    free_.push_back(block);
}

std::optional<block_id> block_pool::take() {
  if (free_.empty()) return std::nullopt;
  const auto block = free_.back();
  free_.pop_back();
  is_free_[static_cast<std::size_t>(block)] = false;
  return block;
}

void block_pool::give_back(block_id block) {
  assert(!is_free(block));
  is_free_[static_cast<std::size_t>(block)] = true;
  free_.push_back(block);
}

}  // namespace troupe
