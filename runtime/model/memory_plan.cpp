// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/memory_plan.hpp"

#include "runtime/model/activations.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

memory_plan plan_memory(const model_config& config, const shard& part, std::size_t block_tokens,
                        std::size_t batch_tokens, dtype kv_type) {
  const auto layout = make_layout(config, part);
  memory_plan plan;
  for (const auto& spec : shard_tensors(config, part))
    plan.weight_bytes += slice_of(spec, config, layout).elements() * sizeof(bf16);
  plan.kv_bytes_per_block =
      2 * layout.layers.count * block_tokens * layout.kv_heads.count * config.head_size * size_of(kv_type);
  plan.activation_bytes = activations::bytes_for(config, layout, batch_tokens);
  return plan;
}

}  // namespace troupe
