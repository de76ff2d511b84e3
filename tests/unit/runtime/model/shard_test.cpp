// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/shard.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model_presets.hpp"
#include "runtime/model/model_tensors.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

const model_config qwen = *find_model_preset("qwen3-0.6b");  // 28 layers, 16 heads, 8 kv heads, vocabulary 151936

}  // namespace

TEST_CASE("spare layers go to the first stages") {
  std::size_t next = 0;
  const std::size_t expected[] = {6, 6, 6, 5, 5};
  for (std::size_t stage = 0; stage < 5; ++stage) {
    const auto layers = make_layout(qwen, {0, 1, stage, 5}).layers;
    CHECK(layers == index_range{next, expected[stage]});
    next = layers.end();
  }
  CHECK(next == qwen.layers);
}

TEST_CASE("heads, intermediate columns and vocabulary are cut without overlap or gap") {
  const auto size = GENERATE(as<std::size_t>(), 1, 2, 4, 8);
  shard_layout last;
  for (std::size_t rank = 0; rank < size; ++rank) {
    const auto layout = make_layout(qwen, {rank, size, 0, 1});
    CHECK(layout.heads.begin == last.heads.end());
    CHECK(layout.kv_heads.begin == last.kv_heads.end());
    CHECK(layout.intermediate.begin == last.intermediate.end());
    CHECK(layout.vocabulary.begin == last.vocabulary.end());
    last = layout;
  }
  CHECK(last.heads.end() == qwen.heads);
  CHECK(last.kv_heads.end() == qwen.kv_heads);
  CHECK(last.intermediate.end() == qwen.intermediate_size);
  CHECK(last.vocabulary.end() == qwen.vocabulary_size);
}

TEST_CASE("a key/value head is held by the ranks whose query heads use it when there are more ranks than heads") {
  const auto group = qwen.heads / qwen.kv_heads;
  for (std::size_t rank = 0; rank < 16; ++rank) {
    const auto layout = make_layout(qwen, {rank, 16, 0, 1});
    CHECK(layout.heads == index_range{rank, 1});
    CHECK(layout.kv_heads == index_range{layout.heads.begin / group, 1});
  }
}

TEST_CASE("an uneven vocabulary leaves the last ranks less, and never out of range") {
  auto config = qwen;
  config.vocabulary_size = 9;
  config.heads = config.kv_heads = 8;
  std::size_t sum = 0;
  for (std::size_t rank = 0; rank < 8; ++rank) {
    const auto layout = make_layout(config, {rank, 8, 0, 1});
    CHECK(layout.vocabulary_padded == 2);
    CHECK(layout.vocabulary.end() <= 9);
    sum += layout.vocabulary.count;
  }
  CHECK(sum == 9);
}

TEST_CASE("a split that does not divide says what does") {
  CHECK(find_error(qwen, {0, 2, 1, 3}).empty());
  CHECK_THAT(find_error(qwen, {0, 3, 0, 1}),
             ContainsSubstring("tensor 3") && ContainsSubstring("one of 1, 2, 4, 8, 16"));
  CHECK_THAT(find_error(qwen, {0, 32, 0, 1}), ContainsSubstring("tensor 32"));
  CHECK_THAT(find_error(qwen, {0, 1, 0, 29}), ContainsSubstring("pipeline 29") && ContainsSubstring("at most 28"));
  CHECK_THAT(find_error(qwen, {2, 2, 0, 1}), ContainsSubstring("rank 2"));
  CHECK_THAT(find_error(qwen, {0, 1, 4, 4}), ContainsSubstring("stage 4"));
  CHECK_THAT(find_error(qwen, {0, 0, 0, 1}), ContainsSubstring("at least 1"));
  auto config = qwen;
  config.intermediate_size = 3074;
  CHECK_THAT(find_error(config, {0, 4, 0, 1}), ContainsSubstring("3074") && ContainsSubstring("one of 1, 2"));
}

TEST_CASE("the memory plan counts every weight once, or as often as it is replicated") {
  const auto whole = plan_memory(qwen, {}, 32, 512);
  CHECK(whole.weight_bytes == 1192099840);
  CHECK(whole.kv_bytes_per_block == 28ULL * 2 * 32 * 8 * 128 * 4);
  CHECK(plan_memory(qwen, {}, 32, 512, dtype::bf16).kv_bytes_per_block == whole.kv_bytes_per_block / 2);
  CHECK(whole.blocks_in(10 * whole.kv_bytes_per_block + 5) == 10);
  std::uint64_t sum = 0;
  for (std::size_t rank = 0; rank < 2; ++rank)
    sum += plan_memory(qwen, {rank, 2, 0, 1}, 32, 512).weight_bytes;
  std::uint64_t norms = qwen.hidden_size * 2;
  for (std::size_t i = 0; i < qwen.layers; ++i)
    norms += (2 * qwen.hidden_size + 2 * qwen.head_size) * 2;
  CHECK(sum == whole.weight_bytes + norms);
  // Both ends of a pipeline hold the tied embedding.
  std::uint64_t stages = 0;
  for (std::size_t stage = 0; stage < 3; ++stage)
    stages += plan_memory(qwen, {0, 1, stage, 3}, 32, 512).weight_bytes;
  CHECK(stages == whole.weight_bytes + qwen.vocabulary_size * qwen.hidden_size * 2);
}

TEST_CASE("the stages of a pipeline hold all tensors of the model, each at least once") {
  std::vector<std::string> names;
  for (std::size_t stage = 0; stage < 3; ++stage)
    for (const auto& spec : shard_tensors(qwen, {0, 1, stage, 3}))
      names.push_back(spec.name);
  for (const auto& spec : model_tensors(qwen))
    CHECK(std::count(names.begin(), names.end(), spec.name) >= 1);
}
