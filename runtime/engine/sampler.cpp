// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/philox.hpp"
#include "kernels/sampling.hpp"
#include "runtime/engine/engine_error.hpp"

namespace troupe {

namespace {

const_tensor as_row(std::span<const float> values) { return {values.data(), 1, values.size()}; }
tensor as_row(std::vector<float>& values) { return {values.data(), 1, values.size()}; }

/// Tokens in ascending order.
std::vector<token_id> sorted(std::span<const token_id> tokens) {
  std::vector<token_id> result(tokens.begin(), tokens.end());
  std::sort(result.begin(), result.end());
  return result;
}

/// Calls body(token, how often it occurs) for each distinct token.
template <class Body>
void for_each_count(std::span<const token_id> tokens, Body body) {
  const auto all = sorted(tokens);
  for (auto run = all.begin(); run != all.end();) {
    const auto end = std::upper_bound(run, all.end(), *run);
    body(static_cast<std::size_t>(*run), end - run);
    run = end;
  }
}

void repeat_less(std::span<float> logits, float penalty, std::span<const token_id> prompt,
                 std::span<const token_id> output) {
  std::vector<token_id> both(prompt.begin(), prompt.end());
  both.insert(both.end(), output.begin(), output.end());
  for_each_count(both, [&](std::size_t token, std::ptrdiff_t) {
    logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
  });
}

bool changes_logits(const sampling_params& params) {
  return !params.logit_bias.empty() || params.repetition_penalty != 1.0F || params.presence_penalty != 0.0F ||
         params.frequency_penalty != 0.0F;
}

double total_weight(const std::vector<candidate>& candidates) {
  double total = 0;
  for (const auto& x : candidates)
    total += x.weight;
  return total;
}

/// Those that weigh at least `floor`, and more than nothing.
std::vector<candidate> candidates_above(double floor, std::span<const float> logits,
                                        const std::vector<float>& weights) {
  std::vector<candidate> candidates;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (weights[i] > 0 && weights[i] >= floor) candidates.push_back({static_cast<token_id>(i), logits[i], weights[i]});
  return candidates;
}

/// What top-k and top-p leave.
std::vector<candidate> likely_candidates(std::span<const float> logits, const std::vector<float>& weights,
                                         const sampling_params& params) {
  const double top_p = params.top_p;
  if (params.top_k > 0) {
    auto candidates = candidates_above(0, logits, weights);
    keep_top_k(candidates, static_cast<std::size_t>(params.top_k));
    if (top_p < 1) keep_top_p(candidates, top_p * total_weight(candidates));
    return candidates;
  }
  if (top_p >= 1) return candidates_above(0, logits, weights);
  double total = 0;
  for (auto weight : weights)
    total += weight;
  // All that weighs less than an even share of what top_p leaves out belongs to what it leaves out: not worth sorting.
  auto candidates =
      candidates_above(0.999 * (1 - top_p) * total / static_cast<double>(weights.size()), logits, weights);
  keep_top_p(candidates, top_p * total);
  return candidates;
}

token_id choose_at_random(const execution& on, std::span<const float> logits, float greatest,
                          const sampling_params& params, std::uint32_t position) {
  std::vector<float> weights(logits.size());
  exponentials(on, as_row(logits), greatest, 1.0F / params.temperature, as_row(weights));
  auto candidates = likely_candidates(logits, weights, params);
  if (params.min_p > 0) keep_min_p(candidates, params.min_p);
  return draw(candidates, philox_uniform(params.seed, position));
}

}  // namespace

void apply_logit_bias(std::span<float> logits, const sampling_params& params) {
  for (const auto& [token, bias] : params.logit_bias)
    logits[static_cast<std::size_t>(token)] += bias;
}

void apply_penalties(std::span<float> logits, const sampling_params& params, std::span<const token_id> prompt,
                     std::span<const token_id> output) {
  if (params.repetition_penalty != 1.0F) repeat_less(logits, params.repetition_penalty, prompt, output);
  if (params.presence_penalty == 0.0F && params.frequency_penalty == 0.0F) return;
  for_each_count(output, [&](std::size_t token, std::ptrdiff_t count) {
    logits[token] -= params.presence_penalty + params.frequency_penalty * static_cast<float>(count);
  });
}

void keep_top_k(std::vector<candidate>& candidates, std::size_t k) {
  if (k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(k), candidates.end(),
                   more_likely);
  candidates.resize(k);
}

void keep_top_p(std::vector<candidate>& candidates, double weight) {
  // Halves the range in which the set ends until it is short enough to sort.
  auto wanted = weight;
  auto begin = candidates.begin();
  auto end = candidates.end();
  while (end - begin > 64) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, more_likely);
    double upper = 0;
    for (auto x = begin; x != middle; ++x)
      upper += x->weight;
    if (upper >= wanted) {
      end = middle;
    } else {
      wanted -= upper;
      begin = middle;
    }
  }
  std::sort(begin, end, more_likely);
  for (double sum = 0; begin != end && sum < wanted; ++begin)
    sum += begin->weight;
  candidates.erase(std::max(begin, candidates.begin() + 1), candidates.end());
}

void keep_min_p(std::vector<candidate>& candidates, float min_p) {
  float greatest = 0;
  for (const auto& x : candidates)
    greatest = std::max(greatest, x.weight);
  std::erase_if(candidates, [&](const candidate& x) { return x.weight < min_p * greatest; });
}

token_id draw(std::vector<candidate>& candidates, double uniform) {
  const auto by_id = [](const candidate& a, const candidate& b) { return a.token < b.token; };
  if (!std::is_sorted(candidates.begin(), candidates.end(), by_id))
    std::sort(candidates.begin(), candidates.end(), by_id);
  const auto target = uniform * total_weight(candidates);
  double sum = 0;
  for (const auto& x : candidates) {
    sum += x.weight;
    if (sum > target) return x.token;
  }
  return candidates.back().token;
}

logprob_report report_logprobs(const execution& on, std::span<const float> logits, std::size_t top) {
  const auto greatest = logits[arg_max(on, as_row(logits))];
  std::vector<float> weights(logits.size());
  exponentials(on, as_row(logits), greatest, 1.0F, as_row(weights));
  double sum = 0;
  for (auto weight : weights)
    sum += weight;
  logprob_report report;
  report.log_sum = greatest + std::log(sum);
  std::vector<candidate> candidates;
  for (std::size_t i = 0; top > 0 && i < logits.size(); ++i) {
    candidates.push_back({static_cast<token_id>(i), logits[i], weights[i]});
    if (candidates.size() >= 64 + top) keep_top_k(candidates, top);
  }
  std::sort(candidates.begin(), candidates.end(), more_likely);
  for (std::size_t i = 0; i < std::min(top, candidates.size()); ++i)
    report.top.push_back({candidates[i].token, static_cast<float>(candidates[i].logit - report.log_sum)});
  return report;
}

sampled_token choose_token(const execution& on, std::span<const float> logits, const sampling_params& params,
                           std::span<const token_id> prompt, std::span<const token_id> output, std::uint32_t position) {
  std::vector<float> adjusted;
  auto used = logits;
  if (changes_logits(params)) {
    adjusted.assign(logits.begin(), logits.end());
    apply_logit_bias(adjusted, params);
    apply_penalties(adjusted, params, prompt, output);
    used = adjusted;
  }
  const auto best = arg_max(on, as_row(used));
  if (!std::isfinite(used[best]))
    throw engine_error("the model's output is not finite: its weights or this device are damaged");
  sampled_token result;
  result.position = position;
  result.token = params.temperature == 0.0F ? static_cast<token_id>(best)
                                            : choose_at_random(on, used, used[best], params, position);
  if (params.logprobs < 0) return result;
  auto report = report_logprobs(on, logits, static_cast<std::size_t>(params.logprobs));
  result.logprob = static_cast<float>(logits[static_cast<std::size_t>(result.token)] - report.log_sum);
  result.top = std::move(report.top);
  return result;
}

}  // namespace troupe
