// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/head_rotation.hpp"
#include "kernels/cuda/paged_cache.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// What happens between the qkv projection and attention, in one pass. All pointers are device memory.
struct qk_rope_append_call {
  bf16* qkv;  ///< [tokens, (heads + 2 * cache.heads) * head_size]: query, then key, then value heads
  std::size_t tokens;
  std::size_t heads;  ///< query heads
  head_rotation rotation;
  const std::int32_t* positions;  ///< [tokens]
  const std::int32_t* slots;      ///< [tokens]: block * block_tokens + offset; negative: nothing is stored
  paged_cache cache;
};

/// rms_norm of each query and key head (where the model has it), rotation by the token's position, query heads left in
/// place, keys and values stored in their slots. head_size 64 or 128.
void qk_rope_append_cuda(const qk_rope_append_call& call, cuda_stream stream);

}  // namespace troupe
