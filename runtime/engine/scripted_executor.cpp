// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/scripted_executor.hpp"

#include "runtime/collective/communicator.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

scripted_executor::scripted_executor(scripted_options options)
    : options_(std::move(options)),
      sequences_({options_.vocabulary_size, options_.positions_max, options_.block_tokens, options_.blocks,
                  options_.batch_tokens_max, true}) {}

load_report scripted_executor::load(const load_progress& progress) {
  if (progress) progress(1, 1);
  return {0, 0, options_.blocks, options_.block_tokens};
}

step_result scripted_executor::compute(const step_plan& plan) {
  if (options_.before_step) options_.before_step(plan);
  if (stop_.load()) throw collective_error("the executor was aborted");
  if (plan.step == options_.fail_at_step) throw collective_error("the script says that this step fails");
  step_result result{plan.epoch, plan.step, {}, 0};
  for (const auto& entry : sequences_.apply(plan)) {
    if (!entry.sample) continue;
    auto& sequence = *entry.sequence;
    auto token = next_token(sequence.tokens, options_.vocabulary_size, options_.salt_with_epoch ? plan.epoch.value : 0);
    if (plan.step == options_.wrong_at_step && result.sampled.empty())
      token = static_cast<token_id>((static_cast<std::size_t>(token) + 1) % options_.vocabulary_size);
    sequence.sampled = token;
    result.sampled.push_back({sequence.id, static_cast<std::uint32_t>(sequence.tokens.size()), token, 0, {}});
  }
  if (!options_.samples) result.sampled.clear();
  if (options_.progress) options_.progress->advance();
  return result;
}

token_id scripted_executor::next_token(const std::vector<token_id>& tokens, std::size_t vocabulary_size,
                                       std::uint64_t salt) {
  auto hash = mix(salt + 1);
  for (auto token : tokens)
    hash = mix(hash + static_cast<std::uint64_t>(token) + 1);
  return static_cast<token_id>(hash % vocabulary_size);
}

}  // namespace troupe
