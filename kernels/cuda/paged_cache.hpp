// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/dtype.hpp"

namespace troupe {

/// One layer's KV cache on a device, bf16. A block is contiguous: [2][heads][block_tokens][head_size], keys first.
struct paged_cache {
  bf16* data = nullptr;
  std::size_t heads = 0;         ///< key/value heads
  std::size_t block_tokens = 0;  ///< a multiple of 16
  std::size_t head_size = 0;     ///< 64 or 128

  std::size_t block_elements() const { return 2 * heads * block_tokens * head_size; }
};

}  // namespace troupe
