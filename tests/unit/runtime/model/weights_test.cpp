// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kernels/cpu/worker_pool.hpp"
#include "runtime/model/errors.hpp"
#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model.hpp"
#include "runtime/model/random_weights.hpp"
#include "runtime/model/shard_weights.hpp"
#include "tests/support/random_checkpoint.hpp"
#include "tests/unit/runtime/model/small_model.hpp"
#include "tests/unit/runtime/model/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

std::string folder_of(const char* name) { return TROUPE_SOURCE_DIR "/tests/data/models/" + std::string(name); }

/// Sums of all values, to compare shards with the whole.
double sum_of(const_tensor x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < x.columns; ++j)
      sum += to_float(x.row<bf16>(i)[j]);
  return sum;
}

}  // namespace

TEST_CASE("the shards of a tensor are the parts of the whole, from files and at random") {
  const std::string name = GENERATE_COPY(folder_of("qwen3-tiny"), "random:" + folder_of("qwen3-tiny"));
  const auto source = open_model(name);
  worker_pool pool(2);
  const auto whole = load_weights(source.config, {}, source.weights, pool, {});
  const auto& layer = whole->layers[1];
  for (std::size_t rank = 0; rank < 2; ++rank) {
    const auto part = load_weights(source.config, {rank, 2, 0, 1}, source.weights, pool, {});
    const auto& mine = part->layers[1];
    REQUIRE(mine.q.rows * 2 == layer.q.rows);
    REQUIRE(mine.down.columns * 2 == layer.down.columns);
    for (std::size_t row = 0; row < mine.q.rows; ++row)
      REQUIRE(std::equal(mine.q.row<bf16>(row), mine.q.row<bf16>(row) + mine.q.columns,
                         layer.q.row<bf16>(rank * mine.q.rows + row)));
    for (std::size_t row = 0; row < mine.down.rows; ++row)
      REQUIRE(std::equal(mine.down.row<bf16>(row), mine.down.row<bf16>(row) + mine.down.columns,
                         layer.down.row<bf16>(row) + rank * mine.down.columns));
  }
}

TEST_CASE("loading counts the bytes that the plan foretold and reports each step up to the end") {
  const std::string name = GENERATE_COPY(folder_of("qwen2-tiny"), folder_of("qwen3-tied"), folder_of("llama3-tiny"));
  const auto source = open_model(name);
  worker_pool pool(1);
  for (const shard part : {shard{}, shard{1, 2, 0, 1}, shard{0, 2, 1, 2}, shard{0, 1, 2, 3}}) {
    std::uint64_t last = 0, total = 0;
    const auto weights =
        load_weights(source.config, part, source.weights, pool, [&](std::uint64_t done, std::uint64_t all) {
          CHECK(done >= last);
          last = done, total = all;
        });
    CHECK(weights->bytes == plan_memory(source.config, part, 32, 1).weight_bytes);
    CHECK(last == weights->bytes);
    CHECK(total == weights->bytes);
  }
}

TEST_CASE("a tied head is the embedding itself on one stage, and a copy of it on the last of several") {
  const auto source = open_model(folder_of("qwen3-tied"));
  worker_pool pool(1);
  const auto whole = load_weights(source.config, {}, source.weights, pool, {});
  CHECK(whole->head.data == whole->embedding.data);
  const auto last = load_weights(source.config, {0, 1, 1, 2}, source.weights, pool, {});
  CHECK(last->embedding.empty());
  CHECK(sum_of(last->head) == sum_of(whole->embedding));
}

TEST_CASE("random weights of two tensors differ, and norms stand around one") {
  const auto config = small_config();
  const random_weights weights(config);
  const auto layer = make_layer_tensors(config, 0);
  std::vector<bf16> q(16), k(16), norm(16);
  weights.read(layer.q, {{0, 1}, {0, 16}}, q.data());
  weights.read(layer.k, {{0, 1}, {0, 16}}, k.data());
  weights.read(layer.attention_norm, {{0, 1}, {0, 16}}, norm.data());
  CHECK(q != k);
  for (auto x : norm)
    CHECK(std::abs(to_float(x) - 1) <= 0.125F);
}

TEST_CASE("an unknown random model is refused with the names there are") {
  CHECK_THROWS_MATCHES(open_model("random:qwen9"), config_error,
                       MessageMatches(ContainsSubstring("random:qwen9") && ContainsSubstring("qwen3-0.6b")));
  CHECK_THROWS_MATCHES(open_model("/no/such/folder"), config_error,
                       MessageMatches(ContainsSubstring("/no/such/folder")));
}

TEST_CASE("a random model takes its shape from any config.json") {
  const auto folder = folder_of("llama3-tiny");
  CHECK(open_model_config("random:" + folder) == open_model_config(folder));
  CHECK(open_model_config("random:" + folder + "/config.json") == open_model_config(folder));
}

TEST_CASE("random weights written to a file are read back as the same model") {
  const temporary_folder folder;
  std::filesystem::copy(std::filesystem::path(TROUPE_SOURCE_DIR) / "models/demo/config.json", folder.path());
  write_random_checkpoint(folder.path(), 2);
  const auto written = open_model(folder.path().string()), made = open_model("random:" + folder.path().string());
  CHECK(model_hash(written) == model_hash(made));
  for (const auto& spec : model_tensors(made.config)) {
    INFO(spec.name);
    const tensor_slice all{{0, spec.rows}, {0, spec.columns}};
    std::vector<bf16> a(all.elements()), b(all.elements());
    written.weights->read(spec, all, a.data());
    made.weights->read(spec, all, b.data());
    CHECK(a == b);
  }
}

TEST_CASE("the model hash is the same for the same model and changes with any part of it") {
  const auto config = small_config();
  const auto hash_of = [](const model_config& shape) {
    return model_hash({shape, std::make_shared<random_weights>(shape)});
  };
  CHECK(hash_of(config) == hash_of(config));
  for (auto change : {+[](model_config& x) { x.rope_theta *= 2; }, +[](model_config& x) { x.layers = 1; },
                      +[](model_config& x) { x.eos_ids = {1}; }, +[](model_config& x) { x.norm_epsilon = 1e-5F; },
                      +[](model_config& x) { x.rope_scaling = llama3_rope_scaling{}; }}) {
    auto other = config;
    change(other);
    CHECK(hash_of(other) != hash_of(config));
  }
  const auto tiny = open_model(folder_of("qwen3-tiny"));
  const auto random = open_model("random:" + folder_of("qwen3-tiny"));
  CHECK(model_hash(tiny) == model_hash(open_model(folder_of("qwen3-tiny"))));
  CHECK(model_hash(tiny) != model_hash(random));
}
