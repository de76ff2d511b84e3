// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kernels/cpu/cpu_device.hpp"
#include "kernels/philox.hpp"
#include "runtime/engine/engine_error.hpp"

using namespace troupe;

namespace {

/// The order of sampling_params.hpp step by step in double on a sorted list: slow, and written without looking at the
/// other.
std::map<token_id, double> naive_distribution(std::vector<double> logits, const sampling_params& params,
                                              const std::vector<token_id>& prompt,
                                              const std::vector<token_id>& output) {
  for (const auto& [token, bias] : params.logit_bias)
    logits[static_cast<std::size_t>(token)] += bias;
  const auto count_in = [](const std::vector<token_id>& where, std::size_t token) {
    return std::count(where.begin(), where.end(), static_cast<token_id>(token));
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto in_output = count_in(output, i);
    if (in_output + count_in(prompt, i) > 0)
      logits[i] = logits[i] > 0 ? logits[i] / params.repetition_penalty : logits[i] * params.repetition_penalty;
    if (in_output > 0) logits[i] -= params.presence_penalty + params.frequency_penalty * static_cast<double>(in_output);
  }
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  if (params.temperature == 0) return {{static_cast<token_id>(order[0]), 1.0}};
  if (params.top_k > 0 && order.size() > static_cast<std::size_t>(params.top_k))
    order.resize(static_cast<std::size_t>(params.top_k));
  std::vector<double> weights;
  for (auto i : order)
    weights.push_back(std::exp((logits[i] - logits[order[0]]) / params.temperature));
  const auto total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::size_t kept = 0;
  for (double sum = 0; kept < order.size() && (kept == 0 || sum < params.top_p * total); ++kept)
    sum += weights[kept];
  std::map<token_id, double> result;
  double sum = 0;
  for (std::size_t i = 0; i < kept; ++i)
    if (weights[i] >= params.min_p * weights[0]) sum += result[static_cast<token_id>(order[i])] = weights[i];
  for (auto& [token, weight] : result)
    weight /= sum;
  return result;
}

/// What the naive distribution gives for the same random number.
token_id naive_choice(const std::map<token_id, double>& distribution, double uniform) {
  double sum = 0;
  for (const auto& [token, share] : distribution)
    if ((sum += share) > uniform) return token;
  return distribution.rbegin()->first;
}

std::vector<float> random_logits(std::size_t size, unsigned seed, float deviation = 2) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(size);
  for (auto& logit : logits)
    logit = normal(generator);
  return logits;
}

sampling_params random_params(std::mt19937& generator, std::size_t vocabulary) {
  const auto pick = [&](std::initializer_list<float> values) {
    return *(values.begin() + static_cast<std::ptrdiff_t>(generator() % values.size()));
  };
  sampling_params params;
  params.temperature = pick({0, 0.3F, 1, 2});
  params.top_k = static_cast<std::int32_t>(pick({0, 1, 5, 40, 1000}));
  params.top_p = pick({1, 0.95F, 0.5F, 0.01F});
  params.min_p = pick({0, 0, 0.05F, 0.5F});
  params.repetition_penalty = pick({1, 1, 1.3F, 0.7F});
  params.presence_penalty = pick({0, 0, 0.5F, -0.5F});
  params.frequency_penalty = pick({0, 0, 0.7F});
  params.seed = generator();
  if (generator() % 3 == 0)
    params.logit_bias = {{static_cast<token_id>(generator() % vocabulary), pick({-100, 5, 100})}};
  return params;
}

struct fixture {
  cpu_device device{1, available_isas().back()};
  execution on{device};
};

double chi_square(const std::map<token_id, int>& counts, const std::map<token_id, double>& expected, int draws) {
  double sum = 0;
  for (const auto& [token, share] : expected) {
    const auto found = counts.find(token);
    const double seen = found == counts.end() ? 0 : found->second;
    sum += (seen - share * draws) * (seen - share * draws) / (share * draws);
  }
  return sum;
}

}  // namespace

TEST_CASE_METHOD(fixture, "a token is the one that the rules give step by step, for all kinds of parameters") {
  std::mt19937 generator(2026);
  int different = 0;
  constexpr int rounds = 3000;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t vocabulary = round % 2 == 0 ? 50 : 700;
    const auto logits = random_logits(vocabulary, static_cast<unsigned>(round));
    const auto params = random_params(generator, vocabulary);
    std::vector<token_id> prompt, output;
    for (int i = 0; i < 10; ++i)
      prompt.push_back(static_cast<token_id>(generator() % vocabulary));
    for (int i = 0; i < 10; ++i)
      output.push_back(static_cast<token_id>(generator() % 7));
    const auto chosen = choose_token(on, logits, params, prompt, output, 20).token;
    const auto expected = naive_distribution({logits.begin(), logits.end()}, params, prompt, output);
    const auto naive = naive_choice(expected, philox_uniform(params.seed, 20));
    if (chosen == naive) continue;
    // A draw or a cut within float rounding of a boundary may fall on either side, never further away.
    ++different;
  }
  CHECK(different <= 3);
}

TEST_CASE_METHOD(fixture, "tokens are drawn as often as their probability says") {
  sampling_params params;
  params.temperature = GENERATE(0.7F, 1.0F, 1.8F);
  params.top_k = GENERATE(0, 6);
  params.top_p = GENERATE(1.0F, 0.9F);
  params.seed = 5;
  const auto logits = random_logits(12, 3, 1);
  const auto expected = naive_distribution({logits.begin(), logits.end()}, params, {}, {});
  constexpr int draws = 20000;
  std::map<token_id, int> counts;
  for (int i = 0; i < draws; ++i)
    ++counts[choose_token(on, logits, params, {}, {}, static_cast<std::uint32_t>(i)).token];
  for (const auto& [token, count] : counts)
    CHECK(expected.contains(token));
  CHECK(chi_square(counts, expected, draws) < 36);  // 11 degrees of freedom: exceeded with probability 2e-4
}

TEST_CASE_METHOD(fixture, "different seeds draw as differently as different positions") {
  const auto logits = random_logits(12, 4, 1);
  const auto expected = naive_distribution({logits.begin(), logits.end()}, {}, {}, {});
  std::map<token_id, int> counts;
  sampling_params params;
  for (params.seed = 0; params.seed < 20000; ++params.seed)
    ++counts[choose_token(on, logits, params, {}, {}, 3).token];
  CHECK(chi_square(counts, expected, 20000) < 36);
}

TEST_CASE_METHOD(fixture, "greedy takes the greatest logit, and the lowest id on a tie") {
  sampling_params params;
  params.temperature = 0;
  CHECK(choose_token(on, std::vector<float>{1, 7, 3, 7}, params, {}, {}, 0).token == 1);
  params.logit_bias = {{2, 10}};
  CHECK(choose_token(on, std::vector<float>{1, 7, 3, 7}, params, {}, {}, 0).token == 2);
}

TEST_CASE_METHOD(fixture, "top-k keeps the lower ids of a tie") {
  std::vector<candidate> candidates = {{0, 1, 1}, {1, 2, 2}, {2, 2, 2}, {3, 2, 2}};
  keep_top_k(candidates, 2);
  std::sort(candidates.begin(), candidates.end(), more_likely);
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0].token == 1);
  CHECK(candidates[1].token == 2);
}

TEST_CASE_METHOD(fixture, "top-p keeps the smallest set that reaches it, and always one") {
  const auto kept = [](double top_p) {
    std::vector<candidate> candidates;
    for (int i = 0; i < 1000; ++i)
      candidates.push_back({i, static_cast<float>(1000 - i), 1});
    keep_top_p(candidates, top_p * 1000);
    std::int64_t greatest = 0;
    for (const auto& x : candidates)
      greatest = std::max<std::int64_t>(greatest, x.token);
    CHECK(greatest + 1 == static_cast<std::int64_t>(candidates.size()));  // the most likely ones
    return candidates.size();
  };
  CHECK(kept(0.5) == 500);
  CHECK(kept(0.5005) == 501);
  CHECK(kept(1e-9) == 1);
  CHECK(kept(1) == 1000);
}

TEST_CASE_METHOD(fixture, "penalties change what the sequence has, prompt and output by their own rules") {
  sampling_params params;
  params.repetition_penalty = 2;
  params.presence_penalty = 0.5F;
  params.frequency_penalty = 0.25F;
  std::vector<float> logits = {4, -4, 4, -4, 1};
  apply_penalties(logits, params, std::vector<token_id>{0, 1, 0}, std::vector<token_id>{2, 3, 3});
  CHECK(logits == std::vector<float>{2, -8, 2 - 0.75F, -8 - 1.0F, 1});
}

TEST_CASE_METHOD(fixture, "log-probabilities are the model's own, before bias, penalties and temperature") {
  const auto logits = random_logits(500, 9);
  double sum = 0;
  for (auto logit : logits)
    sum += std::exp(double{logit});
  sampling_params params;
  params.temperature = 0;
  params.logit_bias = {{77, 100}};
  params.logprobs = 5;
  const auto sampled = choose_token(on, logits, params, {}, {}, 1);
  CHECK(sampled.token == 77);
  CHECK(std::abs(sampled.logprob - (logits[77] - std::log(sum))) < 1e-5);
  auto order = logits;
  std::sort(order.begin(), order.end(), std::greater<>());
  REQUIRE(sampled.top.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(logits[static_cast<std::size_t>(sampled.top[i].token)] == order[i]);
    CHECK(std::abs(sampled.top[i].logprob - (order[i] - std::log(sum))) < 1e-5);
  }
  params.logprobs = 0;
  CHECK(choose_token(on, logits, params, {}, {}, 1).top.empty());
  CHECK(choose_token(on, logits, params, {}, {}, 1).logprob == sampled.logprob);
  params.logprobs = -1;
  CHECK(choose_token(on, logits, params, {}, {}, 1).logprob == 0);
  params.logprobs = 20;
  params.logit_bias.clear();
  CHECK(choose_token(on, std::vector<float>{1, 2, 3}, params, {}, {}, 1).top.size() == 3);
}

TEST_CASE_METHOD(fixture, "logits that are not finite are an error, never a token") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto infinity = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(choose_token(on, std::vector<float>{nan, nan}, {}, {}, {}, 0), engine_error);
  CHECK_THROWS_AS(choose_token(on, std::vector<float>{-infinity, -infinity}, {}, {}, {}, 0), engine_error);
  CHECK_THROWS_AS(choose_token(on, std::vector<float>{1, infinity}, {}, {}, {}, 0), engine_error);
}
