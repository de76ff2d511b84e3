// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/plan_command.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

const model_shape shape{.layers = 7, .query_heads = 8, .kv_heads = 2, .intermediate = 1024};

cluster_file file_of(const std::string& group, const std::string& more = {}) {
  return parse_cluster_file(
      "cluster: c\nmodel: /m\nnodes: {a: {address: 127.0.0.1, port: 1, http: 127.0.0.1:3}, b: {address: 127.0.0.1, "
      "port: 2}}\n"
      "groups: [{name: g, " +
          group + "}]\n" + more,
      "t.yaml");
}

plan_report plan_of(const cluster_file& file, std::uint32_t cores = 8) {
  return make_plan(
      file, shape,
      [](const group_spec&, const rank_shard& x) {
        return rank_memory_figures{1000ULL * x.layers(), 4096ULL * x.layers() * x.kv_heads};
      },
      cores);
}

}  // namespace

TEST_CASE("the plan gives each rank its layers, heads, memory and threads") {
  auto report = plan_of(file_of("tensor: 2, ranks: [a/cpu:0, a/cpu:1]", "engine: {kv_memory: 1MiB}"));
  REQUIRE(report.groups.size() == 1);
  REQUIRE(report.groups[0].ranks.size() == 2);
  const auto& rank = report.groups[0].ranks[1];
  CHECK(rank.weight_bytes == 7000);
  CHECK(rank.kv_blocks == (1 << 20) / (4096 * 7));
  CHECK(rank.kv_bytes == rank.kv_blocks * 4096 * 7);
  CHECK(rank.threads == 4);
  CHECK(report.groups[0].kv_tokens == rank.kv_blocks * 16);
  CHECK(report.wrong.empty());
}

TEST_CASE("the group's KV cache is that of its rank with the fewest blocks") {
  auto report = plan_of(file_of("pipeline: 2, ranks: [a/cpu:0, a/cpu:1]", "engine: {kv_memory: 1MiB}"));
  const auto& group = report.groups.at(0);
  CHECK(group.ranks[0].kv_blocks < group.ranks[1].kv_blocks);
  CHECK(group.kv_tokens == group.ranks[0].kv_blocks * 16);
}

TEST_CASE("the plan says what cannot start and what would") {
  auto report = plan_of(file_of("tensor: 3, ranks: [a/cpu:0, a/cpu:1, a/cpu:2]"));
  CHECK(report.groups.empty());
  REQUIRE(report.wrong.size() == 1);
  CHECK_THAT(report.wrong[0],
             Equals("group g: tensor 3 does not divide 8 query heads; use tensor 2 or 4, or pipeline 3"));
  report = plan_of(file_of("ranks: [a/cpu:0]", "engine: {kv_memory: 1MiB, context: 100000}"));
  REQUIRE(report.wrong.size() == 1);
  CHECK_THAT(report.wrong[0], ContainsSubstring("the KV cache holds 288 tokens and context is 100000"));
  report = plan_of(file_of("pipeline: 2, ranks: [a/cuda:0, b/cuda:0]"));
  REQUIRE(report.wrong.size() == 1);
  CHECK_THAT(report.wrong[0], Equals("a/cuda:0 and b/cuda:0 are the same device of 127.0.0.1; give each rank its own"));
}

TEST_CASE("the plan says what is wasteful") {
  auto waste = plan_of(file_of("tensor: 4, ranks: [a/cpu:0, a/cpu:1, b/cpu:2, b/cpu:3]")).wasteful;
  REQUIRE(waste.size() == 2);
  CHECK_THAT(waste[0],
             Equals("group g: tensor 4 exceeds the 2 KV heads, so 2 ranks hold the same KV cache; tensor 2 x pipeline "
                    "2 holds it once"));
  CHECK_THAT(waste[1], ContainsSubstring("the tensor ranks of stage 0 are on nodes a, b"));
  waste = plan_of(file_of("pipeline: 2, ranks: [a/cpu:0, b/cpu:1]")).wasteful;
  REQUIRE(waste.size() == 1);
  CHECK_THAT(waste[0],
             Equals("group g: 7 layers on 2 stages are 4 on the first and 3 on the last, which waits for it"));
  waste = plan_of(file_of("ranks: [a/cpu:0]", "engine: {threads: 9}")).wasteful;
  REQUIRE(waste.size() == 2);
  CHECK_THAT(waste[0],
             Equals("node a: 1 cpu ranks with 9 threads each are more than the 8 cores; give at most 8 threads"));
  CHECK_THAT(waste[1], Equals("node b: has no rank, no spare and no http; leave it out, or give it one of them"));
}

TEST_CASE("the plan is printed for a person and for a program") {
  auto report = plan_of(file_of("tensor: 4, ranks: [a/cpu:0, a/cpu:1, a/cpu:2, a/cpu:3]", "spares: [b/cpu:0]"), 0);
  const auto text = format_plan(report);
  CHECK_THAT(text, ContainsSubstring("group g: tensor 4 x pipeline 1, KV cache for"));
  CHECK_THAT(text, ContainsSubstring("a/cpu:3"));
  CHECK_THAT(text, ContainsSubstring("1*"));
  CHECK_THAT(text, ContainsSubstring("spares: b/cpu:0"));
  CHECK_THAT(text, ContainsSubstring("wasteful:\n  - group g: tensor 4"));
  auto json = nlohmann::json::parse(format_plan_json(report));
  CHECK(json.at("groups").at(0).at("ranks").size() == 4);
  CHECK(json.at("groups").at(0).at("ranks").at(3).at("kv_replicated") == true);
  CHECK(json.at("wrong").empty());
  CHECK(json.at("spares").at(0) == "b/cpu:0");
}
