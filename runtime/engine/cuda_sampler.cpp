// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_sampler.hpp"

#include <algorithm>
#include <cassert>
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

bool adjusts_logits(const sampling_params& how) {
  return !how.logit_bias.empty() || how.repetition_penalty != 1.0F || how.presence_penalty != 0.0F ||
         how.frequency_penalty != 0.0F;
}

std::size_t cuda_sampler::bytes_for(std::size_t rows_max, std::size_t vocabulary) {
  return rows_max * (sizeof(sampling_row) + sizeof(sampling_outcome)) + sampling_workspace_bytes(rows_max, vocabulary);
}

cuda_sampler::cuda_sampler(std::size_t rows_max, std::size_t vocabulary)
    : vocabulary_(vocabulary),
      params_(rows_max * sizeof(sampling_row)),
      workspace_(sampling_workspace_bytes(rows_max, vocabulary)) {
  for (auto& each : choices_) {
    each.params = pinned_buffer(rows_max * sizeof(sampling_row));
    each.outcomes = pinned_buffer(rows_max * sizeof(sampling_outcome));
  }
}

void cuda_sampler::make_room(std::size_t adjustments) {
  const auto bytes = adjustments * sizeof(logit_adjustment);
  if (bytes <= adjustments_.bytes()) return;
  host_adjustments_ = pinned_buffer(2 * bytes);
  adjustments_ = device_buffer(2 * bytes);
}

void cuda_sampler::upload(const std::vector<engine_sequence*>& sequences, cuda_stream stream) {
  assert(begun_ < choices_.size());
  ++begun_;
  auto& choice = newest();
  choice.rows.clear();
  choice.needs = {};
  std::vector<logit_adjustment> adjustments;
  auto* rows = choice.params.as<sampling_row>();
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    rows[i] = row_of(*sequences[i]);
    choice.rows.push_back({sequences[i]->id, rows[i].position, rows[i].logprobs});
    choice.needs.random |= rows[i].temperature != 0.0F;
    choice.needs.logprobs |= rows[i].logprobs >= 0;
    const auto changes = adjustments_of(*sequences[i]);
    rows[i].first_adjustment = static_cast<std::uint32_t>(adjustments.size());
    rows[i].adjustments = static_cast<std::uint32_t>(changes.size());
    adjustments.insert(adjustments.end(), changes.begin(), changes.end());
  }
  choice.needs.adjusted = !adjustments.empty();
  make_room(adjustments.size());
  std::copy(adjustments.begin(), adjustments.end(), host_adjustments_.as<logit_adjustment>());
  copy_to_device(params_.data(), rows, sequences.size() * sizeof(sampling_row), stream);
  copy_to_device(adjustments_.data(), host_adjustments_.data(), adjustments.size() * sizeof(logit_adjustment), stream);
}

void cuda_sampler::enqueue(float* logits, std::int32_t* chosen, cuda_stream stream) {
  const auto& choice = newest();
  sample_cuda({.logits = logits,
               .rows = choice.rows.size(),
               .vocabulary = vocabulary_,
               .params = params_.as<sampling_row>(),
               .adjustments = adjustments_.as<logit_adjustment>(),
               .outcomes = choice.outcomes.as<sampling_outcome>(),
               .chosen = chosen,
               .workspace = workspace_.data()},
              choice.needs, stream);
}

std::vector<sampled_token> cuda_sampler::take() {
  assert(begun_ > 0);
  const auto& choice = choices_[taken_ % choices_.size()];
  std::vector<sampled_token> result;
  for (std::size_t i = 0; i < choice.rows.size(); ++i) {
    const auto& outcome = choice.outcomes.as<sampling_outcome>()[i];
    if (outcome.token < 0 || static_cast<std::size_t>(outcome.token) >= vocabulary_)
      throw engine_error("the model's output is not finite: its weights or this device are damaged");
    const auto& [sequence, position, asked] = choice.rows[i];
    sampled_token token;
    token.sequence = sequence;
    token.position = position;
    token.token = outcome.token;
    if (asked >= 0) token.logprob = outcome.logprob;
    const auto top = std::min<std::size_t>({static_cast<std::size_t>(std::max(asked, 0)), logprobs_max, vocabulary_});
    for (std::size_t k = 0; k < top; ++k)
      token.top.push_back({outcome.top_token[k], outcome.top_logprob[k]});
    result.push_back(std::move(token));
  }
  ++taken_;
  --begun_;
  return result;
}

}  // namespace troupe
