// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/execution.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// A possible next token and its weight, e^((logit - greatest logit) / temperature).
struct candidate {
  token_id token;
  float logit;
  float weight;
};

/// More likely first; on a tie the lower id.
inline bool more_likely(const candidate& a, const candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void apply_logit_bias(std::span<float> logits, const sampling_params& params);

/// `prompt` and `output` are the tokens before the one to choose. Repetition first, then frequency and presence.
void apply_penalties(std::span<float> logits, const sampling_params& params, std::span<const token_id> prompt,
                     std::span<const token_id> output);

// Each keeps the candidates it names, in any order; `candidates` is not empty before and after.
void keep_top_k(std::vector<candidate>& candidates, std::size_t k);
/// The smallest set, in order of likelihood, whose weight reaches `weight`.
void keep_top_p(std::vector<candidate>& candidates, double weight);
void keep_min_p(std::vector<candidate>& candidates, float min_p);

/// The candidate in order of id whose share of the whole weight contains `uniform`, a number in [0, 1).
token_id draw(std::vector<candidate>& candidates, double uniform);

/// What the model thinks of the next token, before bias, penalties and temperature.
struct logprob_report {
  double log_sum = 0;  ///< a token's log-probability is its logit minus this
  std::vector<token_logprob> top;
};

logprob_report report_logprobs(const execution& on, std::span<const float> logits, std::size_t top);

/// Chooses the token at `position` of the sequence as sampling_params says. Depends on its arguments alone. Throws
/// engine_error when no logit is finite.
sampled_token choose_token(const execution& on, std::span<const float> logits, const sampling_params& params,
                           std::span<const token_id> prompt, std::span<const token_id> output, std::uint32_t position);

}  // namespace troupe
