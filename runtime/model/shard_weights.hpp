// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/host_buffer.hpp"
#include "kernels/tensor.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"
#include "runtime/model/weight_source.hpp"

namespace troupe {

class worker_pool;

/// Views of one layer's weights, bf16 [out, in]; those that the architecture does not have are empty.
struct layer_weights {
  const_tensor attention_norm, q, k, v, q_bias, k_bias, v_bias, q_norm, k_norm, o, mlp_norm, gate, up, down;
};

/// The weights of one shard, on the host. Immutable once loaded, so executors that follow each other on a rank may
/// share them. Slices that lie in the source in whole rows are used where they are; the others are copied.
struct shard_weights {
  const_tensor embedding;  ///< first stage; this rank's part of the vocabulary
  std::vector<layer_weights> layers;
  const_tensor final_norm;  ///< last stage
  const_tensor head;        ///< last stage; the embedding itself where tied and on one stage
  std::uint64_t bytes = 0;

  std::shared_ptr<const weight_source> source;
  host_buffer memory;
};

/// Throws weights_error, config_error or std::bad_alloc. `progress` may be empty.
std::shared_ptr<const shard_weights> load_weights(const model_config& config, const shard& part,
                                                  std::shared_ptr<const weight_source> source, worker_pool& pool,
                                                  const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace troupe
