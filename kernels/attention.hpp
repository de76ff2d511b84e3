// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/execution.hpp"
#include "kernels/kv_cache.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// The rows of one sequence in a batch: `rows` tokens from position `position`, in rows [first_row, first_row + rows)
/// of the query. The cache holds all positions up to the last of them in `blocks`.
struct attention_sequence {
  std::size_t first_row = 0;
  std::size_t rows = 0;
  std::size_t position = 0;
  std::span<const std::int32_t> blocks;
};

/// Causal attention over the paged cache, prefill and decode mixed; consecutive query heads share a key/value head.
/// query, out: f32 [tokens, query heads * head_size]. A token's result depends on its position and the tokens before
/// it, not on the batch, the blocks or where the prompt was cut.
void attention(const execution& on, const_tensor query, std::span<const attention_sequence> sequences,
               const kv_layer& cache, float scale, tensor out);

void attention_cpu(const cpu_device& device, const_tensor query, std::span<const attention_sequence> sequences,
                   const kv_layer& cache, float scale, tensor out);

}  // namespace troupe
