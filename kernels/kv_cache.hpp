// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/dtype.hpp"

namespace troupe {

/// On the CPU the keys of 16 tokens lie together, transposed: one vector load then brings one column of 16 keys.
inline constexpr std::size_t kv_tile_tokens = 16;

/// A view of one layer's KV cache. A block is `block_elements()` contiguous elements: for each head the keys as tiles
/// [block_tokens / 16][head_size][16], then for each head the values as [block_tokens][head_size].
struct kv_layer {
  void* data = nullptr;
  dtype type = dtype::f32;
  std::size_t blocks = 0;
  std::size_t block_tokens = 0;  ///< a multiple of kv_tile_tokens
  std::size_t heads = 0;
  std::size_t head_size = 0;  ///< a multiple of 16

  std::size_t head_elements() const { return block_tokens * head_size; }
  std::size_t block_elements() const { return 2 * heads * head_elements(); }
  /// Elements from the start of a block to its values.
  std::size_t values_offset() const { return heads * head_elements(); }
};

}  // namespace troupe
