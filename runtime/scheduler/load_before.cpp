// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/load_before.hpp"

#include <algorithm>
#include <limits>

#include "runtime/scheduler/stop_rule.hpp"

namespace troupe {

namespace {

double blocks_for(const scheduler_state& state, double tokens) { return tokens / state.options.block_tokens; }

/// Prompt tokens that are read before those of one request. The first in turn gets half of each step, then the shorter
/// prompts come before the longer ones (prefill_turn.hpp).
class reading {
 public:
  explicit reading(const generation_request& request)
      : priority_(request.priority), tokens_(static_cast<double>(request.tokens.size())) {}

  void add(const turn& key, double tokens) {
    if (tokens <= 0) return;
    if (key < first_) {
      count(first_.priority, first_tokens_);
      first_ = key;
      first_tokens_ = tokens;
    } else {
      count(key.priority, tokens);
    }
  }

  double before() const { return shorter_ + std::min(first_tokens_, shorter_ + tokens_); }

 private:
  void count(std::int32_t priority, double tokens) {
    if (priority > priority_ || (priority == priority_ && tokens <= tokens_)) shorter_ += tokens;
  }

  std::int32_t priority_;
  double tokens_;
  double shorter_ = 0;
  turn first_{std::numeric_limits<std::int32_t>::min(), false, std::numeric_limits<std::uint64_t>::max()};
  double first_tokens_ = 0;
};

}  // namespace

waiting_load load_of(const scheduler_state& state, const generation_request& request) {
  const auto pace = state.pace.figures();
  const auto known = static_cast<double>(request.tokens.size());
  waiting_load out;
  out.prompt_tokens = known * pace.computed_share;
  out.tokens = std::max(length_limit(request, state.options) - known, 1.0);
  out.may_stop = may_stop(request.stops, state.options.eos_ids);
  out.blocks = blocks_for(state, out.prompt_tokens + expected_tokens(out.tokens, out.may_stop, pace.stop_rate)) + 1;
  return out;
}

group_prospect load_before(const scheduler_state& state, const generation_request& request) {
  const auto stop_rate = state.pace.figures().stop_rate;
  group_prospect out;
  out.places_free = static_cast<double>(state.options.max_sequences) - static_cast<double>(state.running.size());
  out.blocks_free = state.kv.available();
  out.blocks = state.options.blocks;
  out.batch_tokens = state.options.max_batch_tokens;
  reading prompts(request);
  for (const auto& each : state.running.by_turn()) {
    running_load one;
    one.tokens_left = each->phase == sequence_phase::running ? static_cast<double>(each->limit) - each->known() : 1.0;
    one.may_stop = may_stop(each->request.stops, state.options.eos_ids);
    const auto growth = blocks_for(state, expected_tokens(one.tokens_left, one.may_stop, stop_rate));
    one.blocks = static_cast<double>(each->table.blocks.size()) + growth;
    out.blocks_free -= growth;
    out.running.push_back(one);
    if (each->phase == sequence_phase::running && each->prefilling())
      prompts.add(each->turn, static_cast<double>(each->known() - each->fed));
  }
  const turn key{request.priority, false, state.arrivals + 1};
  for (const auto& [turn, waiting] : state.waiting) {
    if (key < turn) break;
    out.ahead.push_back(load_of(state, waiting.request));
    prompts.add(turn, out.ahead.back().prompt_tokens);
  }
  out.prompt_tokens_ahead = prompts.before();
  return out;
}

}  // namespace troupe
