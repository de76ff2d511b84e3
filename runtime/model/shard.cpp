// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/shard.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/model/errors.hpp"

namespace troupe {

namespace {

bool tensor_size_fits(const model_config& config, std::size_t size) {
  const auto kv_fits = size <= config.kv_heads ? config.kv_heads % size == 0 : size % config.kv_heads == 0;
  return config.heads % size == 0 && kv_fits && config.intermediate_size % size == 0;
}

std::string sizes_that_fit(const model_config& config) {
  std::string sizes;
  for (std::size_t size = 1; size <= config.heads; ++size)
    if (tensor_size_fits(config, size)) sizes += fmt::format("{}{}", sizes.empty() ? "" : ", ", size);
  return sizes;
}

index_range even_part(std::size_t total, std::size_t rank, std::size_t ranks) {
  return {total / ranks * rank, total / ranks};
}

index_range part_with_spare_first(std::size_t total, std::size_t rank, std::size_t ranks) {
  const auto spare = total % ranks;
  return {total / ranks * rank + std::min(rank, spare), total / ranks + (rank < spare ? 1 : 0)};
}

}  // namespace

std::string find_error(const model_config& config, const shard& part) {
  if (part.tensor_size == 0 || part.stages == 0) return "tensor and pipeline must be at least 1";
  if (part.tensor_rank >= part.tensor_size)
    return fmt::format("tensor rank {} does not exist among {}", part.tensor_rank, part.tensor_size);
  if (part.stage >= part.stages)
    return fmt::format("pipeline stage {} does not exist among {}", part.stage, part.stages);
  if (part.stages > config.layers)
    return fmt::format("pipeline {} is more than the model's {} layers; use at most {}", part.stages, config.layers,
                       config.layers);
  if (!tensor_size_fits(config, part.tensor_size))
    return fmt::format(
        "tensor {} does not divide the model ({} attention heads, {} key/value heads, intermediate size {}); use one "
        "of {}",
        part.tensor_size, config.heads, config.kv_heads, config.intermediate_size, sizes_that_fit(config));
  return {};
}

shard_layout make_layout(const model_config& config, const shard& part) {
  if (auto error = find_error(config, part); !error.empty()) throw config_error(error);
  shard_layout layout;
  layout.layers = part_with_spare_first(config.layers, part.stage, part.stages);
  layout.heads = even_part(config.heads, part.tensor_rank, part.tensor_size);
  if (part.tensor_size <= config.kv_heads)
    layout.kv_heads = even_part(config.kv_heads, part.tensor_rank, part.tensor_size);
  else
    layout.kv_heads = {part.tensor_rank * config.kv_heads / part.tensor_size, 1};
  layout.intermediate = even_part(config.intermediate_size, part.tensor_rank, part.tensor_size);
  layout.vocabulary_padded = (config.vocabulary_size + part.tensor_size - 1) / part.tensor_size;
  const auto begin = std::min(config.vocabulary_size, layout.vocabulary_padded * part.tensor_rank);
  layout.vocabulary = {begin, std::min(layout.vocabulary_padded, config.vocabulary_size - begin)};
  return layout;
}

}  // namespace troupe
