// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/unit/runtime/engine/decoder_group.hpp"
#include "tests/unit/runtime/engine/executor_group.hpp"
#include "tests/unit/runtime/engine/reference_cases.hpp"

using namespace troupe;

namespace {

constexpr float logits_tolerance = 2e-3F;
constexpr float meaningful_margin = 0.01F;
const char* const model_names[] = {"qwen3-tiny", "qwen3-tied", "qwen2-tiny", "llama3-tiny"};

struct group_shape {
  std::size_t tensor;
  std::size_t pipeline;
};
constexpr group_shape shapes[] = {{1, 1}, {2, 1}, {4, 1}, {1, 2}, {1, 3}, {2, 2}};

std::string describe(const std::string& name, group_shape shape) {
  return name + " tensor " + std::to_string(shape.tensor) + " pipeline " + std::to_string(shape.pipeline);
}

/// qwen2-tiny has two heads, so it cannot be split in four.
bool can_split(const model& source, group_shape shape) {
  return find_error(source.config, shard{0, shape.tensor, 0, shape.pipeline}).empty();
}

void check_logits(decoder_group& group, const reference_case& expected) {
  group.rewind();
  CHECK(relative_error(group.feed(expected.prompt), expected.prefill_logits) < logits_tolerance);
  std::vector<token_id> generated;
  for (std::size_t i = 0; i + 1 < expected.steps.size(); ++i)
    generated.push_back(expected.steps[i].token);
  CHECK(relative_error(group.feed(generated), expected.final_logits) < logits_tolerance);
}

}  // namespace

TEST_CASE("the logits of every reference prompt are those of the other implementation, in one rank and sharded") {
  const std::string name = GENERATE(from_range(model_names));
  const auto shape = GENERATE(from_range(shapes));
  const auto source = open_model(model_folder(name));
  if (!can_split(source, shape)) SKIP(describe(name, shape) + " does not divide");
  INFO(describe(name, shape));
  decoder_group group(source, shape.tensor, shape.pipeline);
  for (const auto& expected : read_reference_cases(model_folder(name))) {
    INFO("prompt of " << expected.prompt.size() << " tokens");
    check_logits(group, expected);
  }
}

TEST_CASE("the logits are right with every instruction set that this machine has") {
  const auto instructions = GENERATE(isa::portable, isa::avx2, isa::avx512, isa::amx);
  if (find_cpu_kernels(instructions) == nullptr) SKIP(std::string("this machine has no ") + to_string(instructions));
  const std::string name = GENERATE(from_range(model_names));
  INFO(name << " with " << to_string(instructions));
  decoder_group group(open_model(model_folder(name)), 1, 1, instructions);
  for (const auto& expected : read_reference_cases(model_folder(name)))
    check_logits(group, expected);
}

TEST_CASE("a cache in bfloat16 costs less than two percent of accuracy") {
  const std::string name = GENERATE(from_range(model_names));
  decoder_group group(open_model(model_folder(name)), 1, 1, available_isas().back(), dtype::bf16);
  for (const auto& expected : read_reference_cases(model_folder(name))) {
    group.rewind();
    CHECK(relative_error(group.feed(expected.prompt), expected.prefill_logits) < 2e-2F);
  }
}

TEST_CASE("every greedy token is the reference's where its margin is meaningful, in one rank and sharded") {
  const std::string name = GENERATE(from_range(model_names));
  const auto shape = GENERATE(from_range(shapes));
  const auto source = open_model(model_folder(name));
  if (!can_split(source, shape)) SKIP(describe(name, shape) + " does not divide");
  INFO(describe(name, shape));
  engine_options options;
  options.block_tokens = 16;
  options.kv_blocks = 128;
  options.batch_tokens_max = 2048;
  executor_group group(source, shape.tensor, shape.pipeline, options);
  const auto cases = read_reference_cases(model_folder(name));
  plan_maker plans(options.block_tokens);
  for (std::size_t step = 0; step < cases.front().steps.size(); ++step) {
    auto& plan = plans.begin();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (step == 0) plans.start(i, cases[i].prompt.size(), greedy(0));
      plans.feed(i, step == 0 ? cases[i].prompt : std::vector{cases[i].steps[step - 1].token}, true);
    }
    const auto result = group.run(plan);
    REQUIRE(result.sampled.size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto& expected = cases[i].steps[step];
      INFO("prompt " << i << " step " << step);
      if (expected.margin > meaningful_margin) {
        CHECK(result.sampled[i].token == expected.token);
        CHECK(std::abs(result.sampled[i].logprob - expected.logprob) < 5e-3F);
      }
    }
  }
}
