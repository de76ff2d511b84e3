// SPDX-License-Identifier: Apache-2.0
#include "topology/shard_plan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using Catch::Matchers::Equals;

namespace {

const model_shape small{.layers = 6, .query_heads = 8, .kv_heads = 2, .intermediate = 1024};

group_spec group_of(std::uint32_t tensor, std::uint32_t pipeline) {
  group_spec group;
  group.tensor = tensor;
  group.pipeline = pipeline;
  for (std::uint32_t i = 0; i < tensor * pipeline; ++i)
    group.ranks.push_back({"a", {rank_device_kind::cpu, i}});
  return group;
}

}  // namespace

TEST_CASE("one rank holds the whole model") {
  auto plan = plan_shards(group_of(1, 1), small);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].layers() == 6);
  CHECK(plan[0].query_heads == 8);
  CHECK(plan[0].kv_heads == 2);
  CHECK_FALSE(plan[0].kv_replicated);
}

TEST_CASE("tensor ranks of a stage are neighbours and split the heads") {
  auto plan = plan_shards(group_of(2, 2), small);
  REQUIRE(plan.size() == 4);
  CHECK(plan[1].stage == 0);
  CHECK(plan[1].tensor_rank == 1);
  CHECK(plan[1].first_query_head == 4);
  CHECK(plan[1].first_kv_head == 1);
  CHECK(plan[1].kv_heads == 1);
  CHECK(plan[2].stage == 1);
  CHECK(plan[2].tensor_rank == 0);
  CHECK(plan[2].first_layer == 3);
  CHECK(plan[2].end_layer == 6);
}

TEST_CASE("spare layers go to the first stages") {
  auto shape = small;
  shape.layers = 8;
  auto plan = plan_shards(group_of(1, 3), shape);
  REQUIRE(plan.size() == 3);
  CHECK(plan[0].layers() == 3);
  CHECK(plan[1].layers() == 3);
  CHECK(plan[2].layers() == 2);
  CHECK(plan[1].first_layer == 3);
  CHECK(plan[2].end_layer == 8);
}

TEST_CASE("KV heads are replicated when tensor exceeds them, and each query head finds its own") {
  auto plan = plan_shards(group_of(4, 1), small);
  for (const auto& shard : plan) {
    CHECK(shard.kv_replicated);
    CHECK(shard.kv_heads == 1);
    // A KV head serves query_heads / kv_heads = 4 query heads.
    CHECK(shard.first_kv_head == shard.first_query_head / 4);
  }
}

TEST_CASE("an impossible split is refused with one that is possible") {
  CHECK_THAT(find_split_error(small, 3, 1),
             Equals("tensor 3 does not divide 8 query heads; use tensor 2 or 4, or pipeline 3"));
  CHECK_THAT(find_split_error(small, 16, 1), Equals("tensor 16 does not divide 8 query heads; use tensor 8"));
  CHECK_THAT(find_split_error(small, 1, 7),
             Equals("pipeline 7 is more than the model's 6 layers; use pipeline 6 or less"));
  CHECK_THAT(
      find_split_error({.layers = 4, .query_heads = 24, .kv_heads = 6, .intermediate = 96}, 4, 1),
      Equals("tensor 4 does not divide 6 KV heads; use tensor 3 or 6, or pipeline 4"));
  auto odd = small;
  odd.intermediate = 1022;
  CHECK_THAT(find_split_error(odd, 4, 1),
             Equals("tensor 4 does not divide the feed-forward width 1022; use tensor 2, or pipeline 4"));
  CHECK_THAT(find_split_error({}, 1, 1),
             Equals("0 layers with 0 query heads and 0 KV heads are no model that can be split"));
  CHECK(find_split_error(small, 8, 6).empty());
  CHECK_THROWS_AS(plan_shards(group_of(3, 1), small), shard_plan_error);
}

TEST_CASE("every layer and every head has exactly one stage and one owner, whatever the shape") {
  for (std::uint32_t layers = 1; layers <= 12; ++layers)
    for (std::uint32_t tensor : {1U, 2U, 4U, 8U})
      for (std::uint32_t pipeline = 1; pipeline <= layers; ++pipeline) {
        auto shape = small;
        shape.layers = layers;
        std::uint32_t next_layer = 0;
        std::uint32_t next_head = 0;
        for (const auto& shard : plan_shards(group_of(tensor, pipeline), shape)) {
          REQUIRE(shard.layers() >= 1);
          if (shard.tensor_rank == 0) {
            REQUIRE(shard.first_layer == next_layer);
            next_layer = shard.end_layer;
            next_head = 0;
          }
          REQUIRE(shard.first_query_head == next_head);
          next_head += shard.query_heads;
        }
        REQUIRE(next_layer == layers);
        REQUIRE(next_head == shape.query_heads);
      }
}
