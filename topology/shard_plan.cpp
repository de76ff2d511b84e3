// SPDX-License-Identifier: Apache-2.0
#include "topology/shard_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "topology/yaml_section.hpp"

namespace troupe {

namespace {

/// What `tensor` does not divide, as words for an error; empty when it divides all.
std::string find_undivided(const model_shape& shape, std::uint32_t tensor) {
  if (shape.query_heads % tensor != 0) return fmt::format("{} query heads", shape.query_heads);
  if (shape.kv_heads % tensor != 0 && tensor % shape.kv_heads != 0) return fmt::format("{} KV heads", shape.kv_heads);
  if (shape.intermediate % tensor != 0) return fmt::format("the feed-forward width {}", shape.intermediate);
  return {};
}

/// The greatest allowed degree below `tensor` and the smallest above it.
std::vector<std::string> advise_tensor(const model_shape& shape, std::uint32_t tensor) {
  std::vector<std::string> out;
  auto below = std::min(tensor, shape.query_heads + 1) - 1;
  while (below > 1 && !find_undivided(shape, below).empty())
    --below;
  if (below > 1) out.push_back(std::to_string(below));
  auto above = tensor + 1;
  while (above <= shape.query_heads && !find_undivided(shape, above).empty())
    ++above;
  if (above <= shape.query_heads) out.push_back(std::to_string(above));
  if (out.empty()) out.emplace_back("1");
  return out;
}

}  // namespace

std::string find_split_error(const model_shape& shape, std::uint32_t tensor, std::uint32_t pipeline) {
  if (shape.layers == 0 || shape.query_heads == 0 || shape.kv_heads == 0 || shape.query_heads % shape.kv_heads != 0)
    return fmt::format("{} layers with {} query heads and {} KV heads are no model that can be split", shape.layers,
                       shape.query_heads, shape.kv_heads);
  if (tensor == 0 || pipeline == 0) return "tensor and pipeline must be at least 1";
  if (auto undivided = find_undivided(shape, tensor); !undivided.empty()) {
    auto text = fmt::format("tensor {} does not divide {}; use tensor {}", tensor, undivided,
                            join_or(advise_tensor(shape, tensor)));
    auto stages = std::uint64_t{tensor} * pipeline;
    return stages > shape.layers ? text : fmt::format("{}, or pipeline {}", text, stages);
  }
  if (pipeline > shape.layers)
    return fmt::format("pipeline {} is more than the model's {} layers; use pipeline {} or less", pipeline,
                       shape.layers, shape.layers);
  return {};
}

std::vector<rank_shard> plan_shards(const group_spec& group, const model_shape& shape) {
  if (auto error = find_split_error(shape, group.tensor, group.pipeline); !error.empty())
    throw shard_plan_error(fmt::format("group {}: {}", group.name, error));
  const auto ranks = std::uint64_t{group.tensor} * group.pipeline;
  if (ranks != group.ranks.size())
    throw shard_plan_error(fmt::format("group {}: tensor {} x pipeline {} is {} ranks and {} are listed", group.name,
                                       group.tensor, group.pipeline, ranks, group.ranks.size()));
  const auto layers_each = shape.layers / group.pipeline;
  const auto layers_spare = shape.layers % group.pipeline;
  std::vector<rank_shard> out;
  for (const auto& place : group.ranks) {
    rank_shard x;
    x.rank = static_cast<std::uint32_t>(out.size());
    x.place = place;
    x.tensor_rank = x.rank % group.tensor;
    x.stage = x.rank / group.tensor;
    x.first_layer = x.stage * layers_each + std::min(x.stage, layers_spare);
    x.end_layer = x.first_layer + layers_each + (x.stage < layers_spare ? 1 : 0);
    x.query_heads = shape.query_heads / group.tensor;
    x.first_query_head = x.tensor_rank * x.query_heads;
    x.kv_heads = std::max(shape.kv_heads / group.tensor, 1U);
    // With more tensor ranks than KV heads, tensor / kv_heads neighbours share one.
    x.kv_replicated = group.tensor > shape.kv_heads;
    x.first_kv_head = x.kv_replicated ? x.tensor_rank / (group.tensor / shape.kv_heads) : x.tensor_rank * x.kv_heads;
    out.push_back(std::move(x));
  }
  return out;
}

}  // namespace troupe
