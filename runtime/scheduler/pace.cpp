// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/pace.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr double kept = 63.0 / 64;          // of the steps' sums, with every step
constexpr double longest_pause = 8;         // times the mean: a step that took longer was held up by something else
constexpr double tokens_remembered = 1e4;   // then the older half counts half
constexpr double prompts_remembered = 1e5;  // the same, prompt tokens

}  // namespace

void pace::note_step(double took_us, double prompt_tokens, double rounds) {
  if (steps_ > 1) took_us = std::min(took_us, longest_pause * time_ / steps_);
  for (auto* sum : {&steps_, &time_, &interval_, &prompt_, &prompt_squared_, &prompt_time_})
    *sum *= kept;
  steps_ += 1;
  time_ += took_us;
  interval_ += took_us * std::max(rounds, 1.0);
  prompt_ += prompt_tokens;
  prompt_squared_ += prompt_tokens * prompt_tokens;
  prompt_time_ += prompt_tokens * took_us;
}

void pace::note_start(std::uint32_t tokens, std::uint32_t reused) {
  begun_ += tokens;
  computed_ += tokens - reused;
  if (begun_ < prompts_remembered) return;
  begun_ /= 2;
  computed_ /= 2;
}

void pace::note_token(bool ended) {
  tokens_ += 1;
  ends_ += ended ? 1 : 0;
  if (tokens_ < tokens_remembered) return;
  tokens_ /= 2;
  ends_ /= 2;
}

pace_figures pace::figures() const {
  pace_figures out;
  out.stop_rate = std::min(ends_ / tokens_, 1.0);
  if (begun_ > 0) out.computed_share = computed_ / begun_;
  if (steps_ == 0) return out;
  const auto mean_time = time_ / steps_, mean_prompt = prompt_ / steps_;
  const auto spread = prompt_squared_ / steps_ - mean_prompt * mean_prompt;
  const auto together = prompt_time_ / steps_ - mean_prompt * mean_time;
  // Steps that all read as much say nothing about what a token more would cost.
  if (spread > 1) out.prompt_us = std::clamp(together / spread, 0.0, mean_prompt > 0 ? mean_time / mean_prompt : 0.0);
  out.step_us = mean_time - out.prompt_us * mean_prompt;
  out.token_us = interval_ / steps_;
  return out;
}

}  // namespace troupe
