// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <future>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kernels/cpu/worker_pool.hpp"
#include "runtime/engine/cuda_step.hpp"
#include "runtime/model/cuda_decoder.hpp"
#include "tests/gpu/cuda_pair.hpp"
#include "tests/gpu/device_array.hpp"
#include "tests/gpu/small_options.hpp"
#include "tests/unit/kernels/random_values.hpp"
#include "tests/unit/runtime/engine/decoder_group.hpp"
#include "tests/unit/runtime/engine/reference_cases.hpp"

using namespace troupe;

namespace {

constexpr float logits_tolerance = 2e-2F;
constexpr float meaningful_margin = 0.15F;
constexpr std::size_t layers = 2;
const char* const model_names[] = {"qwen3-tiny", "qwen3-tied", "qwen2-tiny", "llama3-tiny"};

/// What one rank left of a sum.
struct summed {
  std::vector<float> residual;
  std::vector<float> normed;
};

/// Some sums after each other, as a pass makes them, several times over.
summed sum_on_rank(std::size_t rank, cuda_links links, std::size_t rows, std::size_t columns, unsigned passes) {
  const cuda_device device(rank);
  const cuda_tensor_link link(*links.host.tensor, std::move(links.tensor), layers, device.stream());
  const device_array<float> residual(device, random_floats(rows * columns, 100));
  const device_array<float> norm_values(device, std::vector<float>(columns, 1));
  const device_array<bf16> norm(device, std::vector<bf16>(columns, to_bf16(0.5F)));
  const device_array<bf16> out(device, rows * columns);
  for (unsigned pass = 1; pass <= passes; ++pass) {
    const device_array<std::uint32_t> number(device, std::vector<std::uint32_t>{pass});
    for (std::size_t layer = 0; layer < layers; ++layer) {
      for (const auto where : {exchange_point::kind::attention, exchange_point::kind::feed_forward}) {
        const auto seed = static_cast<unsigned>(1000 * pass + 10 * layer + 2 * static_cast<unsigned>(where) + rank);
        const device_array<float> partial(device, random_floats(rows * columns, seed));
        peer_reduce_call call;
        call.residual = residual.get();
        call.rows = rows, call.columns = columns, call.epsilon = 1e-6F;
        if (where == exchange_point::kind::feed_forward) call.norm = norm.get(), call.out = out.get();
        link.reduce(call, partial.get(), {where, layer}, number.get(), device.stream());
        synchronize(device.stream());
      }
    }
  }
  links.host.tensor->barrier();
  return {residual.read(), widened(out.read())};
}

/// The last position's logits of one sequence, from two devices.
class fed_pair {
 public:
  explicit fed_pair(const model& source) : vocabulary_(source.config.vocabulary_size) {
    auto links = make_pair_links();
    ranks_.resize(pair_size);
    run_on_threads(pair_size,
                   [&](std::size_t i) { ranks_[i] = std::make_unique<half>(source, i, std::move(links[i])); });
  }
  ~fed_pair() {
    run_on_threads(pair_size, [&](std::size_t i) { ranks_[i].reset(); });
  }

  void rewind() {
    for (auto& rank : ranks_)
      rank->sequence.tokens.clear();
  }

  /// Each rank's, which must be the same.
  std::vector<std::vector<float>> feed(const std::vector<token_id>& tokens) {
    std::vector<std::vector<float>> logits(pair_size);
    run_on_threads(pair_size, [&](std::size_t i) { logits[i] = ranks_[i]->feed(tokens, vocabulary_); });
    return logits;
  }

 private:
  static constexpr cuda_decoder_limits limits{1024, 8, 16, 128};

  struct half {
    half(const model& source, std::size_t i, cuda_links given)
        : device(i),
          links(std::move(given)),
          part{i, pair_size, 0, 1},
          link(*links.host.tensor, std::move(links.tensor), source.config.layers, device.stream()),
          pool(2),
          decoder(source.config, part, load_cuda_weights(source.config, part, *source.weights, device, pool, {}),
                  {&link}, device, limits),
          step({limits.batch_tokens, limits.block_tokens, source.config.positions_max,
                source.config.heads / source.config.kv_heads}) {
      for (std::size_t b = 0; b < limits.blocks; ++b)
        sequence.blocks.push_back(static_cast<block_id>(limits.blocks - 1 - b));
    }

    std::vector<float> feed(const std::vector<token_id>& tokens, std::size_t vocabulary) {
      device.make_current();
      const auto position = static_cast<std::uint32_t>(sequence.tokens.size());
      sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
      step.fill({{&sequence, position, static_cast<std::uint32_t>(tokens.size()), true}}, 0);
      step.upload(device.stream());
      decoder.enqueue(step.batch(), device.stream());
      std::vector<float> logits(vocabulary);
      copy_to_host(logits.data(), decoder.logits(), logits.size() * sizeof(float), device.stream());
      synchronize(device.stream());
      return logits;
    }

    cuda_device device;
    cuda_links links;
    shard part;
    cuda_tensor_link link;
    worker_pool pool;
    cuda_decoder decoder;
    cuda_step step;
    engine_sequence sequence;
  };

  std::size_t vocabulary_;
  std::vector<std::unique_ptr<half>> ranks_;
};

}  // namespace

TEST_CASE("two devices add up in rank order, by the kernels and by the library, pass after pass") {
  NEEDS_CUDA_DEVICES(2);
  const auto rows = GENERATE(as<std::size_t>(), 1, 7, 256, 300);
  const bool library = GENERATE(false, true);
  if (rows > exchange_rows_max && !library) return;
  if (library && !nccl_is_available()) return;
  INFO(rows << " rows" << (library ? " with the library" : ""));
  constexpr std::size_t columns = 1032;
  constexpr unsigned passes = 3;
  auto links = make_pair_links(library);
  std::vector<summed> got(pair_size);
  run_on_threads(pair_size,
                 [&](std::size_t i) { got[i] = sum_on_rank(i, std::move(links[i]), rows, columns, passes); });
  auto expected = random_floats(rows * columns, 100);
  for (unsigned pass = 1; pass <= passes; ++pass)
    for (unsigned layer = 0; layer < layers; ++layer)
      for (unsigned where = 1; where <= 2; ++where) {
        const auto first = random_floats(expected.size(), 1000 * pass + 10 * layer + 2 * where);
        const auto second = random_floats(expected.size(), 1000 * pass + 10 * layer + 2 * where + 1);
        for (std::size_t i = 0; i < expected.size(); ++i)
          expected[i] += first[i] + second[i];
      }
  CHECK(got[0].residual == expected);
  CHECK(got[1].residual == expected);
  CHECK(got[0].normed == got[1].normed);
  for (std::size_t row = 0; row < rows; row += 50) {
    double squares = 0;
    for (std::size_t i = 0; i < columns; ++i)
      squares += expected[row * columns + i] * expected[row * columns + i];
    const auto scale = 0.5 / std::sqrt(squares / columns + 1e-6);
    for (std::size_t i = 0; i < columns; i += 17)
      CHECK(std::abs(got[0].normed[row * columns + i] - expected[row * columns + i] * scale) < 2e-2);
  }
}

TEST_CASE("what many rows add up to is rounded, and the same on both devices") {
  NEEDS_CUDA_DEVICES(2);
  if (!nccl_is_available()) SKIP("this build has no NCCL");
  constexpr std::size_t rows = 300, columns = 1032;
  const auto before = random_floats(rows * columns, 1);
  const std::vector<float> share[] = {random_floats(rows * columns, 2), random_floats(rows * columns, 3)};
  auto links = make_pair_links();
  std::vector<std::vector<float>> got(pair_size);
  run_on_threads(pair_size, [&](std::size_t i) {
    const cuda_device device(i);
    const cuda_tensor_link link(*links[i].host.tensor, std::move(links[i].tensor), layers, device.stream());
    const device_array<float> residual(device, before);
    const device_array<bf16> partial(device, narrowed(share[i]));
    peer_reduce_call call;
    call.residual = residual.get();
    call.rows = rows, call.columns = columns;
    link.reduce(call, partial.get(), device.stream());
    got[i] = residual.read();
    links[i].host.tensor->barrier();
  });
  CHECK(got[0] == got[1]);
  std::vector<double> expected(before.begin(), before.end());
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] += share[0][i] + share[1][i];
  CHECK(greatest_error(got[0], expected) < 5e-3);
}

TEST_CASE("every rank has all logits of a vocabulary that does not divide") {
  NEEDS_CUDA_DEVICES(2);
  const auto rows = GENERATE(as<std::size_t>(), 1, 5, 150);
  const std::size_t vocabulary = 15'003, padded = 7'502;  // 150 rows of them are more than one exchange holds
  if (rows * padded > (std::size_t{1} << 20) && !nccl_is_available()) return;
  auto links = make_pair_links();
  std::vector<std::vector<float>> got(pair_size);
  const auto all = random_floats(rows * vocabulary, 5);
  run_on_threads(pair_size, [&](std::size_t i) {
    const cuda_device device(i);
    const cuda_tensor_link link(*links[i].host.tensor, std::move(links[i].tensor), layers, device.stream());
    const auto begin = i * padded, columns = std::min(padded, vocabulary - begin);
    std::vector<float> mine(rows * padded);
    for (std::size_t row = 0; row < rows; ++row)
      std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(row * vocabulary + begin), columns,
                  mine.begin() + static_cast<std::ptrdiff_t>(row * columns));
    const device_array<float> part(device, mine), gathered(device, pair_size * cuda_tensor_link::gather_rows * padded);
    const device_array<float> logits(device, rows * vocabulary);
    const device_array<std::uint32_t> pass(device, std::vector<std::uint32_t>{1});
    link.gather({part.get(), rows, vocabulary, padded, logits.get()}, gathered.get(), pass.get(), device.stream());
    got[i] = logits.read();
    links[i].host.tensor->barrier();
  });
  CHECK(got[0] == all);
  CHECK(got[1] == all);
}

TEST_CASE("the logits of every reference prompt on two devices are those of the other implementation") {
  NEEDS_CUDA_DEVICES(2);
  const std::string name = GENERATE(from_range(model_names));
  INFO(name);
  fed_pair decoders(open_model(model_folder(name)));
  const auto check = [&](const std::vector<std::vector<float>>& logits, const std::vector<float>& expected) {
    CHECK(relative_error(logits[0], expected) < logits_tolerance);
    CHECK(logits[0] == logits[1]);
  };
  for (const auto& expected : read_reference_cases(model_folder(name))) {
    INFO("prompt of " << expected.prompt.size() << " tokens");
    decoders.rewind();
    check(decoders.feed(expected.prompt), expected.prefill_logits);
    std::vector<token_id> generated;
    for (std::size_t i = 0; i + 1 < expected.steps.size(); ++i)
      generated.push_back(expected.steps[i].token);
    check(decoders.feed(generated), expected.final_logits);
    decoders.rewind();
    decoders.feed(expected.prompt);
    std::vector<std::vector<float>> last;
    for (auto token : generated)
      last = decoders.feed({token});
    check(last, expected.final_logits);
  }
}

TEST_CASE("every greedy token of two devices is the reference's where its margin is meaningful, captured and not") {
  NEEDS_CUDA_DEVICES(2);
  const std::string name = GENERATE(from_range(model_names));
  const auto shape = GENERATE(pair_shape::shards, pair_shape::stages);
  if (shape == pair_shape::stages && !nccl_is_available()) return;
  INFO(name << (shape == pair_shape::shards ? " in two shards" : " in two stages"));
  const auto cases = read_reference_cases(model_folder(name));
  const auto options = small_options();
  cuda_pair engines(open_model(model_folder(name)), options, shape);
  plan_maker plans(options.block_tokens);
  for (std::size_t step = 0; step < cases.front().steps.size(); ++step) {
    auto& plan = plans.begin();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (step == 0) plans.start(i, cases[i].prompt.size(), greedy(0));
      plans.feed(i, step == 0 ? cases[i].prompt : std::vector{cases[i].steps[step - 1].token}, true);
    }
    const auto result = engines.run(plan);
    REQUIRE(result.sampled.size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto& expected = cases[i].steps[step];
      INFO("prompt " << i << " step " << step << " margin " << expected.margin);
      if (expected.margin > meaningful_margin) CHECK(result.sampled[i].token == expected.token);
    }
  }
}

TEST_CASE("what two devices draw, each for itself, is as likely on one") {
  NEEDS_CUDA_DEVICES(2);
  const auto sequences = GENERATE(as<std::size_t>(), 1, 5);
  constexpr std::size_t steps = 20;
  const auto options = small_options();
  const auto source = open_model(model_folder("qwen3-tiny"));
  const auto run = [&](auto& engine) {
    plan_maker plans(options.block_tokens);
    std::vector<std::vector<sampled_token>> drawn(sequences);
    for (std::size_t step = 0; step < steps; ++step) {
      auto& plan = plans.begin();
      for (std::size_t i = 0; i < sequences; ++i) {
        auto how = greedy(0);
        how.temperature = 0.8F, how.top_p = 0.9F, how.seed = i;
        if (step == 0) {
          plans.start(i, 3, how);
          plans.feed(i, {static_cast<token_id>(i), 5, 6}, true);
        } else {
          plans.feed_sampled(i);
        }
      }
      const auto result = engine.run(plan);
      for (std::size_t i = 0; i < sequences; ++i)
        drawn[i].push_back(result.sampled[i]);
    }
    return drawn;
  };
  cuda_pair two(source, options);
  auto one = make_cuda_executor(source, {}, {}, options, 0);
  one->load({});
  const auto drawn = run(two), expected = run(*one);
  // A draw within rounding of a border may differ, and then everything after it does. Had the ranks fed different
  // tokens, what they add up would be of no sequence at all, and no token as likely.
  std::size_t compared = 0;
  for (std::size_t i = 0; i < sequences; ++i) {
    for (std::size_t step = 0; step < steps && drawn[i][step].token == expected[i][step].token; ++step, ++compared) {
      INFO("sequence " << i << " step " << step);
      CHECK(std::abs(drawn[i][step].logprob - expected[i][step].logprob) < 0.05F);
    }
  }
  CHECK(compared >= sequences * steps / 4);
}

TEST_CASE("a rank whose peer does not come is freed by an abort") {
  NEEDS_CUDA_DEVICES(2);
  const auto prompt = GENERATE(as<std::size_t>(), 3, 400);  // waits in a kernel of ours; in the library
  const auto shape = GENERATE(pair_shape::shards, pair_shape::stages);
  if (shape == pair_shape::stages && !nccl_is_available()) return;
  // A stage may run ahead of the next, so only the last one waits.
  const std::size_t rank = shape == pair_shape::stages ? 1 : 0;
  const auto options = small_options();
  cuda_pair engines(open_model(model_folder("qwen3-tiny")), options, shape);
  plan_maker plans(options.block_tokens);
  auto& plan = plans.begin();
  plans.start(0, prompt, greedy());
  plans.feed(0, std::vector<token_id>(prompt, 5), true);
  auto waiting = std::async(std::launch::async, [&] { engines.rank(rank).run(plan); });
  CHECK(waiting.wait_for(std::chrono::milliseconds(500)) == std::future_status::timeout);
  engines.rank(rank).abort();
  REQUIRE(waiting.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK_THROWS_AS(waiting.get(), collective_error);
}
