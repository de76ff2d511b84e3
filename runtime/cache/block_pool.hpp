// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

/// The blocks that hold nothing. The one given back last is taken first: its memory is the likeliest to be warm.
class block_pool {
 public:
  explicit block_pool(std::uint32_t blocks);

  std::optional<block_id> take();
  void give_back(block_id block);

  bool is_free(block_id block) const { return is_free_[static_cast<std::size_t>(block)]; }
  std::uint32_t free() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(is_free_.size()); }

 private:
  std::vector<block_id> free_;  // a stack
  std::vector<bool> is_free_;
};

}  // namespace troupe
