// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/device_buffer.hpp"
#include "kernels/dtype.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"
#include "runtime/model/weight_source.hpp"

namespace troupe {

class worker_pool;

/// One layer's weights on a device, bf16 [out, in] without gaps; null where the architecture has none. Products of the
/// same input are one matrix: the rows of query, key and value, and those of gate and up, follow each other.
struct cuda_layer_weights {
  bf16 *attention_norm = nullptr, *qkv = nullptr, *qkv_bias = nullptr, *q_norm = nullptr, *k_norm = nullptr,
       *o = nullptr, *mlp_norm = nullptr, *gate_up = nullptr, *down = nullptr;
};

/// The weights of one shard, in one piece of device memory.
struct cuda_weights {
  bf16* embedding = nullptr;  ///< first stage; this rank's part of the vocabulary
  std::vector<cuda_layer_weights> layers;
  bf16* final_norm = nullptr;  ///< last stage
  bf16* head = nullptr;        ///< last stage; the embedding itself where tied and on one stage
  device_buffer memory;
};

/// Device memory that load_cuda_weights takes.
std::uint64_t cuda_weight_bytes(const model_config& config, const shard& part);

/// Reads the shard through a ring of page-locked buffers, so that reading and copying go on together; weights that are
/// made are made on the device. Throws weights_error, config_error, memory_error or cuda_error.
cuda_weights load_cuda_weights(const model_config& config, const shard& part, const weight_source& source,
                               const cuda_device& device, worker_pool& pool,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace troupe
