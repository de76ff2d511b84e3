// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "runtime/engine/cuda_sampler.hpp"
#include "runtime/engine/engine_error.hpp"
#include "runtime/engine/sampler.hpp"
#include "tests/gpu/device_array.hpp"
#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

constexpr std::size_t vocabulary = 20'011;

engine_sequence sequence_with(const sampling_params& params, std::uint64_t id) {
  engine_sequence sequence;
  sequence.id = {id};
  sequence.sampling = params;
  sequence.sampling.seed = id;
  sequence.prompt_tokens = 5;
  sequence.tokens = {7, 8, 9, 7, 1, 100, 7, 100, static_cast<token_id>(id % 50)};
  return sequence;
}

std::vector<sampled_token> on_device(const cuda_device& device, std::vector<engine_sequence> sequences,
                                     const std::vector<float>& logits) {
  std::vector<engine_sequence*> rows;
  for (auto& x : sequences)
    rows.push_back(&x);
  const device_array<float> there(device, logits);
  const device_array<std::int32_t> chosen(device, rows.size());
  cuda_sampler sampler(rows.size(), vocabulary);
  sampler.upload(rows, device.stream());
  sampler.enqueue(there.get(), chosen.get(), device.stream());
  synchronize(device.stream());
  CHECK(there.read() == logits);
  auto taken = sampler.take();
  const auto left = chosen.read();
  for (std::size_t i = 0; i < taken.size(); ++i)
    CHECK(left[i] == taken[i].token);
  return taken;
}

sampled_token on_cpu(const cpu_device& cpu, const engine_sequence& sequence, std::span<const float> logits) {
  const std::span all(sequence.tokens);
  return choose_token(execution(cpu), logits, sequence.sampling, all.first(sequence.prompt_tokens),
                      all.subspan(sequence.prompt_tokens), static_cast<std::uint32_t>(all.size()));
}

}  // namespace

TEST_CASE("the device chooses the CPU's tokens with every kind of setting") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  sampling_params greedy, plain, k, p, m, all, penalties, sharp;
  greedy.temperature = 0;
  plain.temperature = 0.6F;
  k.top_k = 40;
  p.top_p = 0.8F;
  m.min_p = 0.1F;
  all.temperature = 0.8F, all.top_k = 100, all.top_p = 0.9F, all.min_p = 0.01F;
  penalties.repetition_penalty = 1.3F, penalties.presence_penalty = 0.7F, penalties.frequency_penalty = 0.4F;
  penalties.logit_bias = {{3, 4.0F}, {7, -2.0F}};
  sharp.top_p = 1e-6F;
  const auto params = GENERATE_COPY(values({greedy, plain, k, p, m, all, penalties, sharp}));
  constexpr std::size_t rows = 64;
  const auto logits = random_floats(rows * vocabulary, 3, 3);
  std::vector<engine_sequence> sequences;
  for (std::size_t i = 0; i < rows; ++i)
    sequences.push_back(sequence_with(params, 1000 + i));
  const auto got = on_device(device, sequences, logits);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto expected = on_cpu(cpu, sequences[i], std::span(logits).subspan(i * vocabulary, vocabulary));
    CHECK(got[i].position == expected.position);
    equal += got[i].token == expected.token ? 1 : 0;
  }
  // A draw within rounding of the border between two tokens may go either way: at most one of these.
  CHECK(equal >= rows - 1);
  CHECK(on_device(device, sequences, logits).front().token == got.front().token);
}

TEST_CASE("ties go to the lowest ids on the device, as on the CPU") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  sampling_params greedy, k, p;
  greedy.temperature = 0;
  k.top_k = 3;
  p.top_p = 0.5F;
  std::vector<float> logits(vocabulary, -5.0F);
  for (auto i : {17, 400, 5000, 12000, 19999})
    logits[static_cast<std::size_t>(i)] = 9.0F;
  for (const auto& params : {greedy, k, p})
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto sequence = sequence_with(params, seed);
      CHECK(on_device(device, {sequence}, logits).front().token == on_cpu(cpu, sequence, logits).token);
    }
}

TEST_CASE("log-probabilities of the device are the CPU's, before penalties and temperature") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  const cpu_device cpu(1, available_isas().back());
  sampling_params params;
  params.temperature = 0.7F;
  params.repetition_penalty = 1.5F;
  params.logprobs = GENERATE(0, 1, 20);
  const auto logits = random_floats(vocabulary, 8, 4);
  const auto sequence = sequence_with(params, 5);
  const auto got = on_device(device, {sequence}, logits).front();
  const auto expected = on_cpu(cpu, sequence, logits);
  REQUIRE(got.token == expected.token);
  CHECK(std::abs(got.logprob - expected.logprob) < 1e-4F);
  REQUIRE(got.top.size() == expected.top.size());
  for (std::size_t i = 0; i < got.top.size(); ++i) {
    CHECK(got.top[i].token == expected.top[i].token);
    CHECK(std::abs(got.top[i].logprob - expected.top[i].logprob) < 1e-4F);
  }
}

TEST_CASE("logits without a finite one are an error, not a token") {
  NEEDS_CUDA_DEVICE();
  const cuda_device device(0);
  sampling_params params;
  params.temperature = GENERATE(0.0F, 1.0F);
  std::vector<float> logits(vocabulary, std::nanf(""));
  auto sequence = sequence_with(params, 1);
  const device_array<float> there(device, logits);
  const device_array<std::int32_t> chosen(device, 1);
  cuda_sampler sampler(1, vocabulary);
  sampler.upload({&sequence}, device.stream());
  sampler.enqueue(there.get(), chosen.get(), device.stream());
  synchronize(device.stream());
  CHECK_THROWS_AS(sampler.take(), engine_error);
}
