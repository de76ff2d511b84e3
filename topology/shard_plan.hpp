// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "topology/cluster_file.hpp"

namespace troupe {

/// What of a model decides how it splits.
struct model_shape {
  std::uint32_t layers = 0;
  std::uint32_t query_heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t intermediate = 0;  ///< width of the feed-forward part
};

/// The share of one rank. Heads are the query heads [first_query_head, first_query_head + query_heads), and likewise
/// the KV heads; layers are [first_layer, end_layer).
struct rank_shard {
  std::uint32_t rank = 0;  ///< stage x tensor + tensor_rank: the ranks of a stage are neighbours in the list
  rank_place place;
  std::uint32_t tensor_rank = 0;
  std::uint32_t stage = 0;
  std::uint32_t first_layer = 0;
  std::uint32_t end_layer = 0;
  std::uint32_t first_query_head = 0;
  std::uint32_t query_heads = 0;
  std::uint32_t first_kv_head = 0;
  std::uint32_t kv_heads = 0;
  bool kv_replicated = false;  ///< another rank of the stage holds the same KV heads

  std::uint32_t layers() const { return end_layer - first_layer; }
  friend bool operator==(const rank_shard&, const rank_shard&) = default;
};

/// A split that the model does not allow; the text says which split it does allow.
class shard_plan_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One sentence that names what does not divide and what would, or an empty string.
std::string find_split_error(const model_shape& shape, std::uint32_t tensor, std::uint32_t pipeline);

/// Who holds what, by rank. Layers that do not divide go to the first stages, one each. In a replicated group the
/// layers are those the rank computes in prefill; it holds the weights and the KV cache of all.
/// Throws shard_plan_error.
std::vector<rank_shard> plan_shards(const group_spec& group, const model_shape& shape);

}  // namespace troupe
