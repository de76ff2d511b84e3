// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_sampler.hpp"

#include <algorithm>
#include <map>

#include "kernels/cuda/cuda_device.hpp"
#include "runtime/engine/engine_error.hpp"

namespace troupe {

namespace {

/// The changes that a sequence's settings make to the logits of single tokens.
std::vector<logit_adjustment> adjustments_of(const engine_sequence& sequence) {
  const auto& how = sequence.sampling;
  std::map<token_id, logit_adjustment> changes;
  const auto change = [&](token_id token) -> logit_adjustment& {
    auto& x = changes[token];
    x.token = token;
    return x;
  };
  for (const auto& [token, bias] : how.logit_bias)
    change(token).bias += bias;
  const bool repeats = how.repetition_penalty != 1.0F;
  const bool counts = how.presence_penalty != 0.0F || how.frequency_penalty != 0.0F;
  if (repeats || counts) {
    for (std::size_t i = 0; i < sequence.tokens.size(); ++i) {
      const bool output = i >= sequence.prompt_tokens;
      if (!repeats && !output) continue;
      auto& x = change(sequence.tokens[i]);
      x.seen = 1;
      if (counts && output) ++x.outputs;
    }
  }
  std::vector<logit_adjustment> result;
  for (const auto& [token, x] : changes)
    result.push_back(x);
  return result;
}

sampling_row row_of(const engine_sequence& sequence) {
  const auto& how = sequence.sampling;
  sampling_row row;
  row.temperature = how.temperature;
  row.top_k = how.top_k;
  row.top_p = how.top_p;
  row.min_p = how.min_p;
  row.repetition_penalty = how.repetition_penalty;
  row.presence_penalty = how.presence_penalty;
  row.frequency_penalty = how.frequency_penalty;
  row.logprobs = how.logprobs;
  row.seed = how.seed;
  row.position = static_cast<std::uint32_t>(sequence.tokens.size());
  return row;
}

}  // namespace

std::size_t cuda_sampler::bytes_for(std::size_t rows_max, std::size_t vocabulary) {
  return rows_max * (sizeof(sampling_row) + sizeof(sampling_outcome)) + sampling_workspace_bytes(rows_max, vocabulary);
}

cuda_sampler::cuda_sampler(std::size_t rows_max, std::size_t vocabulary)
    : vocabulary_(vocabulary),
      host_params_(rows_max * sizeof(sampling_row)),
      outcomes_(rows_max * sizeof(sampling_outcome)),
      params_(rows_max * sizeof(sampling_row)),
      workspace_(sampling_workspace_bytes(rows_max, vocabulary)) {}

void cuda_sampler::make_room(std::size_t adjustments) {
  const auto bytes = adjustments * sizeof(logit_adjustment);
  if (bytes <= adjustments_.bytes()) return;
  host_adjustments_ = pinned_buffer(2 * bytes);
  adjustments_ = device_buffer(2 * bytes);
}

void cuda_sampler::upload(const std::vector<const engine_sequence*>& sequences, cuda_stream stream) {
  rows_ = sequences.size();
  sampling_needs needs;
  std::vector<logit_adjustment> adjustments;
  auto* rows = host_params_.as<sampling_row>();
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    rows[i] = row_of(*sequences[i]);
    needs.random |= rows[i].temperature != 0.0F;
    needs.logprobs |= rows[i].logprobs >= 0;
    const auto changes = adjustments_of(*sequences[i]);
    rows[i].first_adjustment = static_cast<std::uint32_t>(adjustments.size());
    rows[i].adjustments = static_cast<std::uint32_t>(changes.size());
    adjustments.insert(adjustments.end(), changes.begin(), changes.end());
  }
  needs.adjusted = !adjustments.empty();
  make_room(adjustments.size());
  std::copy(adjustments.begin(), adjustments.end(), host_adjustments_.as<logit_adjustment>());
  copy_to_device(params_.data(), rows, sequences.size() * sizeof(sampling_row), stream);
  copy_to_device(adjustments_.data(), host_adjustments_.data(), adjustments.size() * sizeof(logit_adjustment), stream);
  needs_ = needs;
}

void cuda_sampler::enqueue(float* logits, cuda_stream stream) {
  sample_cuda({.logits = logits,
               .rows = rows_,
               .vocabulary = vocabulary_,
               .params = params_.as<sampling_row>(),
               .adjustments = adjustments_.as<logit_adjustment>(),
               .outcomes = outcomes_.as<sampling_outcome>(),
               .workspace = workspace_.data()},
              needs_, stream);
}

std::vector<sampled_token> cuda_sampler::take(const std::vector<const engine_sequence*>& sequences) const {
  std::vector<sampled_token> result;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto& outcome = outcomes_.as<sampling_outcome>()[i];
    if (outcome.token < 0 || static_cast<std::size_t>(outcome.token) >= vocabulary_)
      throw engine_error("the model's output is not finite: its weights or this device are damaged");
    sampled_token token;
    token.sequence = sequences[i]->id;
    token.position = static_cast<std::uint32_t>(sequences[i]->tokens.size());
    token.token = outcome.token;
    const auto asked = sequences[i]->sampling.logprobs;
    if (asked >= 0) token.logprob = outcome.logprob;
    const auto top = std::min<std::size_t>({static_cast<std::size_t>(std::max(asked, 0)), logprobs_max, vocabulary_});
    for (std::size_t k = 0; k < top; ++k)
      token.top.push_back({outcome.top_token[k], outcome.top_logprob[k]});
    result.push_back(std::move(token));
  }
  return result;
}

}  // namespace troupe
