// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// What one rank needs, known before anything is loaded.
struct memory_plan {
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes_per_block = 0;  ///< of all the rank's layers
  std::uint64_t activation_bytes = 0;    ///< buffers for a step of at most `batch_tokens`

  /// Blocks that fit into `bytes` of KV cache.
  std::uint64_t blocks_in(std::uint64_t bytes) const { return bytes / kv_bytes_per_block; }
};

/// Throws config_error when the model cannot be split so.
memory_plan plan_memory(const model_config& config, const shard& part, std::size_t block_tokens,
                        std::size_t batch_tokens, dtype kv_type = dtype::f32);

}  // namespace troupe
