// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/model_bundle.hpp"

#include <algorithm>

#include "runtime/model/model.hpp"

namespace troupe {

model_facts model_bundle::facts() const {
  return {name, static_cast<std::int32_t>(config.vocabulary_size), context_tokens, config.eos_ids};
}

model_bundle read_model_bundle(const cluster_file& file) {
  model_bundle result;
  const bool files = file.weights == "files";
  result.source = files ? file.model.string() : file.weights;
  result.name = file.model.empty() ? file.weights : file.model.lexically_normal().filename().string();
  auto opened = open_model(result.source);
  result.config = opened.config;
  result.hash = model_hash(opened);
  result.context_tokens = static_cast<std::uint32_t>(opened.config.positions_max);
  if (file.engine.context != 0) result.context_tokens = std::min(result.context_tokens, file.engine.context);
  result.text = std::make_shared<prompt_encoder>(prompt_encoder::from_folder(file.model));
  return result;
}

model_shape shape_of(const model_config& config) {
  model_shape shape;
  shape.layers = static_cast<std::uint32_t>(config.layers);
  shape.query_heads = static_cast<std::uint32_t>(config.heads);
  shape.kv_heads = static_cast<std::uint32_t>(config.kv_heads);
  shape.intermediate = static_cast<std::uint32_t>(config.intermediate_size);
  return shape;
}

}  // namespace troupe
