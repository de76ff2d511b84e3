// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// How a tensor is divided among the ranks of a tensor-parallel group.
enum class tensor_split : std::uint8_t {
  whole,
  vocabulary_rows,
  head_rows,     ///< or the entries of a bias
  kv_head_rows,  ///< or the entries of a bias
  intermediate_rows,
  head_columns,
  intermediate_columns,
};

/// What a tensor holds, which fixes how random values are scaled.
enum class tensor_use : std::uint8_t { projection, projection_to_residual, embedding, norm, bias };

/// One tensor of a model in the Hugging Face naming.
struct tensor_spec {
  std::string name;
  std::size_t rows = 1;
  std::size_t columns = 0;
  bool vector = false;  ///< one dimension in the file; here one row
  tensor_split split = tensor_split::whole;
  tensor_use use = tensor_use::projection;
  std::size_t layer = 0;  ///< of the tensors that belong to one
};

/// A rectangle of a tensor.
struct tensor_slice {
  index_range rows;
  index_range columns;
  std::size_t elements() const { return rows.count * columns.count; }
};

/// A layer's tensors; the biases and head norms are empty names in models without them.
struct layer_tensors {
  tensor_spec attention_norm, q, k, v, q_bias, k_bias, v_bias, q_norm, k_norm, o, mlp_norm, gate, up, down;
};

layer_tensors make_layer_tensors(const model_config& config, std::size_t layer);
tensor_spec embedding_tensor(const model_config& config);
tensor_spec final_norm_tensor(const model_config& config);
/// The embedding itself where they are tied.
tensor_spec head_tensor(const model_config& config);

/// All tensors that the model's files must have, each once.
std::vector<tensor_spec> model_tensors(const model_config& config);

/// Those that a shard holds, each once.
std::vector<tensor_spec> shard_tensors(const model_config& config, const shard& part);

/// The part of a tensor that a rank holds.
tensor_slice slice_of(const tensor_spec& spec, const model_config& config, const shard_layout& layout);

}  // namespace troupe
