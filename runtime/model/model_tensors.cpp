// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/model_tensors.hpp"

#include <fmt/format.h>

namespace troupe {

layer_tensors make_layer_tensors(const model_config& config, std::size_t layer) {
  using enum tensor_split;
  const auto hidden = config.hidden_size;
  const auto query = config.heads * config.head_size;
  const auto kv = config.kv_heads * config.head_size;
  const auto matrix = [&](const char* name, std::size_t rows, std::size_t columns, tensor_split split) {
    const auto use = split == head_columns || split == intermediate_columns ? tensor_use::projection_to_residual
                                                                            : tensor_use::projection;
    return tensor_spec{fmt::format("model.layers.{}.{}.weight", layer, name), rows, columns, false, split, use, layer};
  };
  const auto norm = [&](const char* name, std::size_t size) {
    return tensor_spec{
        fmt::format("model.layers.{}.{}.weight", layer, name), 1, size, true, whole, tensor_use::norm, layer};
  };
  const auto bias = [&](const char* name, std::size_t size, tensor_split split) {
    return tensor_spec{
        fmt::format("model.layers.{}.{}.bias", layer, name), 1, size, true, split, tensor_use::bias, layer};
  };
  layer_tensors tensors;
  tensors.attention_norm = norm("input_layernorm", hidden);
  tensors.q = matrix("self_attn.q_proj", query, hidden, head_rows);
  tensors.k = matrix("self_attn.k_proj", kv, hidden, kv_head_rows);
  tensors.v = matrix("self_attn.v_proj", kv, hidden, kv_head_rows);
  if (config.has_qkv_bias()) {
    tensors.q_bias = bias("self_attn.q_proj", query, head_rows);
    tensors.k_bias = bias("self_attn.k_proj", kv, kv_head_rows);
    tensors.v_bias = bias("self_attn.v_proj", kv, kv_head_rows);
  }
  if (config.has_qk_norm()) {
    tensors.q_norm = norm("self_attn.q_norm", config.head_size);
    tensors.k_norm = norm("self_attn.k_norm", config.head_size);
  }
  tensors.o = matrix("self_attn.o_proj", hidden, query, head_columns);
  tensors.mlp_norm = norm("post_attention_layernorm", hidden);
  tensors.gate = matrix("mlp.gate_proj", config.intermediate_size, hidden, intermediate_rows);
  tensors.up = matrix("mlp.up_proj", config.intermediate_size, hidden, intermediate_rows);
  tensors.down = matrix("mlp.down_proj", hidden, config.intermediate_size, intermediate_columns);
  return tensors;
}

tensor_spec embedding_tensor(const model_config& config) {
  return {"model.embed_tokens.weight",
          config.vocabulary_size,
          config.hidden_size,
          false,
          tensor_split::vocabulary_rows,
          tensor_use::embedding,
          0};
}

tensor_spec final_norm_tensor(const model_config& config) {
  return {"model.norm.weight", 1, config.hidden_size, true, tensor_split::whole, tensor_use::norm, 0};
}

tensor_spec head_tensor(const model_config& config) {
  auto tensor = embedding_tensor(config);
  if (!config.tied_embeddings) tensor.name = "lm_head.weight";
  return tensor;
}

namespace {

void append_layer(const model_config& config, std::size_t layer, std::vector<tensor_spec>& to) {
  const auto all = make_layer_tensors(config, layer);
  for (const auto* tensor : {&all.attention_norm, &all.q, &all.k, &all.v, &all.q_bias, &all.k_bias, &all.v_bias,
                             &all.q_norm, &all.k_norm, &all.o, &all.mlp_norm, &all.gate, &all.up, &all.down})
    if (!tensor->name.empty()) to.push_back(*tensor);
}

}  // namespace

std::vector<tensor_spec> model_tensors(const model_config& config) { return shard_tensors(config, shard{}); }

std::vector<tensor_spec> shard_tensors(const model_config& config, const shard& part) {
  const auto layers = make_layout(config, part).layers;
  std::vector<tensor_spec> tensors;
  if (part.first_stage()) tensors.push_back(embedding_tensor(config));
  for (auto layer = layers.begin; layer < layers.end(); ++layer)
    append_layer(config, layer, tensors);
  if (part.last_stage()) {
    tensors.push_back(final_norm_tensor(config));
    if (!config.tied_embeddings || !part.first_stage()) tensors.push_back(head_tensor(config));
  }
  return tensors;
}

tensor_slice slice_of(const tensor_spec& spec, const model_config& config, const shard_layout& layout) {
  const auto scaled = [](index_range range, std::size_t factor) {
    return index_range{range.begin * factor, range.count * factor};
  };
  tensor_slice slice{{0, spec.rows}, {0, spec.columns}};
  auto& rows = spec.vector ? slice.columns : slice.rows;
  switch (spec.split) {
    case tensor_split::whole:
      break;
    case tensor_split::vocabulary_rows:
      rows = layout.vocabulary;
      break;
    case tensor_split::head_rows:
      rows = scaled(layout.heads, config.head_size);
      break;
    case tensor_split::kv_head_rows:
      rows = scaled(layout.kv_heads, config.head_size);
      break;
    case tensor_split::intermediate_rows:
      rows = layout.intermediate;
      break;
    case tensor_split::head_columns:
      slice.columns = scaled(layout.heads, config.head_size);
      break;
    case tensor_split::intermediate_columns:
      slice.columns = layout.intermediate;
      break;
  }
  return slice;
}

}  // namespace troupe
