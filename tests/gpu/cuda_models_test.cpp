// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "kernels/cpu/worker_pool.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/engine/cuda_step.hpp"
#include "runtime/model/cuda_decoder.hpp"
#include "runtime/model/errors.hpp"
#include "tests/gpu/device_array.hpp"
#include "tests/gpu/small_options.hpp"
#include "tests/unit/runtime/engine/decoder_group.hpp"
#include "tests/unit/runtime/engine/executor_group.hpp"
#include "tests/unit/runtime/engine/reference_cases.hpp"

using namespace troupe;

namespace {

constexpr float logits_tolerance = 2e-2F;
constexpr float meaningful_margin = 0.15F;
const char* const model_names[] = {"qwen3-tiny", "qwen3-tied", "qwen2-tiny", "llama3-tiny"};

/// Feeds one sequence to a decoder on the device and returns the last position's logits.
class fed_decoder {
 public:
  explicit fed_decoder(const model& source)
      : device_(0),
        pool_(2),
        vocabulary_(source.config.vocabulary_size),
        decoder_(make(source)),
        step_({limits_.batch_tokens, limits_.block_tokens, source.config.positions_max,
               source.config.heads / source.config.kv_heads}) {
    for (std::size_t b = 0; b < limits_.blocks; ++b)
      sequence_.blocks.push_back(static_cast<block_id>(limits_.blocks - 1 - b));
  }

  void rewind() { sequence_.tokens.clear(); }

  std::vector<float> feed(const std::vector<token_id>& tokens) {
    const auto position = static_cast<std::uint32_t>(sequence_.tokens.size());
    sequence_.tokens.insert(sequence_.tokens.end(), tokens.begin(), tokens.end());
    step_.fill({{&sequence_, position, static_cast<std::uint32_t>(tokens.size()), true}}, 0);
    step_.upload(device_.stream());
    decoder_.enqueue(step_.batch(), device_.stream());
    std::vector<float> logits(vocabulary_);
    copy_to_host(logits.data(), decoder_.logits(), logits.size() * sizeof(float), device_.stream());
    synchronize(device_.stream());
    return logits;
  }

 private:
  cuda_decoder make(const model& source) {
    return {source.config, {},     load_cuda_weights(source.config, {}, *source.weights, device_, pool_, {}), {},
            device_,       limits_};
  }

  const cuda_decoder_limits limits_{1024, 8, 16, 128};
  const cuda_device device_;
  worker_pool pool_;
  std::size_t vocabulary_;
  cuda_decoder decoder_;
  cuda_step step_;
  engine_sequence sequence_;
};

}  // namespace

TEST_CASE("the logits of every reference prompt on the device are those of the other implementation") {
  NEEDS_CUDA_DEVICE();
  const std::string name = GENERATE(from_range(model_names));
  INFO(name);
  fed_decoder decoder(open_model(model_folder(name)));
  for (const auto& expected : read_reference_cases(model_folder(name))) {
    INFO("prompt of " << expected.prompt.size() << " tokens");
    decoder.rewind();
    CHECK(relative_error(decoder.feed(expected.prompt), expected.prefill_logits) < logits_tolerance);
    std::vector<token_id> generated;
    for (std::size_t i = 0; i + 1 < expected.steps.size(); ++i)
      generated.push_back(expected.steps[i].token);
    CHECK(relative_error(decoder.feed(generated), expected.final_logits) < logits_tolerance);
    // The same positions one at a time, through the kernels for one row.
    decoder.rewind();
    decoder.feed(expected.prompt);
    std::vector<float> last;
    for (auto token : generated)
      last = decoder.feed({token});
    CHECK(relative_error(last, expected.final_logits) < logits_tolerance);
  }
}

TEST_CASE("every greedy token on the device is the reference's where its margin is meaningful, alone and in a batch") {
  NEEDS_CUDA_DEVICE();
  const std::string name = GENERATE(from_range(model_names));
  const bool alone = GENERATE(true, false);
  INFO(name << (alone ? " alone" : " in a batch"));
  const auto cases = read_reference_cases(model_folder(name));
  const auto options = small_options();
  const auto rounds = alone ? cases.size() : std::size_t{1};
  for (std::size_t round = 0; round < rounds; ++round) {
    auto engine = make_cuda_executor(open_model(model_folder(name)), {}, {}, options, 0);
    engine->load({});
    plan_maker plans(options.block_tokens);
    for (std::size_t step = 0; step < cases.front().steps.size(); ++step) {
      auto& plan = plans.begin();
      std::vector<std::size_t> fed;
      for (std::size_t i = alone ? round : 0; i < (alone ? round + 1 : cases.size()); ++i) {
        if (step == 0) plans.start(i, cases[i].prompt.size(), greedy(0));
        plans.feed(i, step == 0 ? cases[i].prompt : std::vector{cases[i].steps[step - 1].token}, true);
        fed.push_back(i);
      }
      const auto result = engine->run(plan);
      REQUIRE(result.sampled.size() == fed.size());
      for (std::size_t k = 0; k < fed.size(); ++k) {
        const auto& expected = cases[fed[k]].steps[step];
        INFO("prompt " << fed[k] << " step " << step << " margin " << expected.margin);
        if (expected.margin > meaningful_margin) CHECK(result.sampled[k].token == expected.token);
      }
    }
  }
}

TEST_CASE("a captured step gives what an eager one gives, for every size of batch") {
  NEEDS_CUDA_DEVICE();
  const auto sequences = GENERATE(as<std::size_t>(), 1, 2, 3, 9, 33);
  const auto options = small_options();
  const auto source = open_model(model_folder("qwen3-tiny"));
  const auto start = [&](plan_maker& plans) -> step_plan& {
    auto& plan = plans.begin();
    for (std::size_t i = 0; i < sequences; ++i) {
      plans.start(i, 3, greedy(0));
      plans.feed(i, {static_cast<token_id>(i), 5, 6}, true);
    }
    return plan;
  };
  const auto decode = [&](plan_maker& plans) -> step_plan& {
    auto& plan = plans.begin();
    for (std::size_t i = 0; i < sequences; ++i)
      plans.feed_sampled(i);
    return plan;
  };
  // The first step of a size is eager and the later ones are replayed, so the engine is compared with one that does
  // each step as its first: it is fed the whole sequence and then one token.
  plan_maker plans(options.block_tokens);
  auto captured = make_cuda_executor(source, {}, {}, options, 0);
  captured->load({});
  std::vector<std::vector<token_id>> tokens(sequences);
  for (std::size_t i = 0; i < sequences; ++i)
    tokens[i] = {static_cast<token_id>(i), 5, 6};
  auto last = captured->run(start(plans));
  for (int step = 0; step < 12; ++step) {
    for (std::size_t i = 0; i < sequences; ++i)
      tokens[i].push_back(last.sampled[i].token);
    last = captured->run(decode(plans));
  }
  auto eager = make_cuda_executor(source, {}, {}, options, 0);
  eager->load({});
  plan_maker eager_plans(options.block_tokens);
  auto& prefill = eager_plans.begin();
  for (std::size_t i = 0; i < sequences; ++i) {
    eager_plans.start(i, 3, greedy(0));
    eager_plans.feed(i, {tokens[i].begin(), tokens[i].end() - 1}, false);
  }
  eager->run(prefill);
  auto& one = eager_plans.begin();
  for (std::size_t i = 0; i < sequences; ++i)
    eager_plans.feed(i, {tokens[i].back()}, true);
  const auto expected = eager->run(one);
  for (std::size_t i = 0; i < sequences; ++i) {
    INFO("sequence " << i);
    if (last.sampled[i].token == expected.sampled[i].token)
      CHECK(std::abs(last.sampled[i].logprob - expected.sampled[i].logprob) < 0.05F);
    else  // two tokens that are equally likely
      CHECK(std::abs(last.sampled[i].logprob - expected.sampled[i].logprob) < 0.02F);
  }
}

TEST_CASE("steps begun while the ones before are under way give the tokens of steps one at a time") {
  NEEDS_CUDA_DEVICE();
  const auto options = small_options();
  const auto source = open_model(model_folder("qwen3-tiny"));
  sampling_params random, penalised;
  random.temperature = 0.9F, random.seed = 7, random.logprobs = 2;
  penalised.repetition_penalty = 1.4F, penalised.frequency_penalty = 0.5F, penalised.seed = 9;
  const bool penalties = GENERATE(false, true);
  constexpr std::size_t early = 5;  // ends while its token is on the device
  // Prompts of several lengths, one of them in two pieces and late; decode steps in graphs and in mixed batches.
  const auto make_plans = [&] {
    plan_maker maker(options.block_tokens);
    std::vector<step_plan> plans;
    for (std::size_t step = 0; step < 24; ++step) {
      auto& plan = maker.begin();
      if (step == early) plan.ended.push_back({1});
      for (std::uint64_t i = 0; i < 4; ++i) {
        if (i == 1 && step >= early) continue;
        if (step == 0) {
          maker.start(i, 4 + i, i == 0 ? greedy(0) : i == 2 && penalties ? penalised : random);
          maker.feed(i, std::vector<token_id>(4 + i, static_cast<token_id>(10 + i)), true);
        } else {
          maker.feed_sampled(i);
        }
      }
      if (step == 8) maker.start(9, 40, random);
      if (step == 8 || step == 9) maker.feed(9, std::vector<token_id>(20, 3), step == 9);
      if (step > 9) maker.feed_sampled(9);
      plans.push_back(plan);
    }
    return plans;
  };
  const auto plans = make_plans();
  auto patient = make_cuda_executor(source, {}, {}, options, 0);
  auto ahead = make_cuda_executor(source, {}, {}, options, 0);
  patient->load({});
  ahead->load({});
  std::vector<step_result> expected, got;
  for (const auto& plan : plans)
    expected.push_back(patient->run(plan));
  const auto take_one = [&] {
    for (const auto count = got.size(); got.size() == count;)
      if (auto result = ahead->poll()) got.push_back(std::move(*result));
  };
  for (const auto& plan : plans) {
    ahead->begin(plan);
    while (plan.step % 7 == 0 && got.size() < plan.step)
      take_one();  // now and then none is under way
    if (plan.step > got.size() + 1) take_one();
  }
  while (got.size() < plans.size())
    take_one();
  for (std::size_t i = 0; i < plans.size(); ++i) {
    INFO("step " << plans[i].step);
    CHECK(got[i].step == expected[i].step);
    REQUIRE(got[i].sampled.size() == expected[i].sampled.size());
    for (std::size_t k = 0; k < got[i].sampled.size(); ++k) {
      CHECK(got[i].sampled[k].sequence == expected[i].sampled[k].sequence);
      CHECK(got[i].sampled[k].position == expected[i].sampled[k].position);
      CHECK(got[i].sampled[k].token == expected[i].sampled[k].token);
      CHECK(got[i].sampled[k].logprob == expected[i].sampled[k].logprob);
      CHECK(got[i].sampled[k].top == expected[i].sampled[k].top);
    }
  }
  CHECK_FALSE(ahead->poll());
}

TEST_CASE("a KV cache larger than the device is refused with what would fit") {
  NEEDS_CUDA_DEVICE();
  auto options = small_options();
  options.kv_blocks = 0;
  options.kv_bytes = std::uint64_t{1} << 43;
  auto engine = make_cuda_executor(open_model("random:qwen3-8b"), {}, {}, options, 0);
  try {
    engine->load({});
    FAIL("it was loaded");
  } catch (const config_error& error) {
    CHECK(std::string(error.what()).find("would fit") != std::string::npos);
  }
}
