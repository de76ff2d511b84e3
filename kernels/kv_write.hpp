// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "kernels/execution.hpp"
#include "kernels/kv_cache.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// Stores each token's keys and values in its slot; slot = block * block_tokens + offset.
/// keys, values: f32 [tokens, heads * head_size], heads and head_size those of the cache.
void kv_write(const execution& on, const_tensor keys, const_tensor values, std::span<const std::int64_t> slots,
              const kv_layer& cache);

void kv_write_cpu(const cpu_device& device, const_tensor keys, const_tensor values, std::span<const std::int64_t> slots,
                  const kv_layer& cache);

}  // namespace troupe
