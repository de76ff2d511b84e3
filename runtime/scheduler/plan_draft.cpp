// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/plan_draft.hpp"

#include <cassert>
#include <utility>

namespace troupe {

plan_draft::plan_draft(troupe::epoch in, std::uint64_t step, std::uint32_t token_budget) : tokens_left_(token_budget) {
  plan_.epoch = flight_.epoch = in;
  plan_.step = flight_.step = step;
}

void plan_draft::start(sequence& admitted) {
  const auto& tokens = admitted.request.tokens;
  const auto& blocks = admitted.table.blocks;
  plan_.started.push_back({.sequence = admitted.id,
                           .sampling = admitted.request.sampling,
                           .prompt_tokens = admitted.request.prompt_tokens,
                           .cached_tokens = {tokens.begin(), tokens.begin() + admitted.fed},
                           .blocks = {blocks.begin(), blocks.begin() + admitted.blocks_announced}});
}

void plan_draft::feed(sequence& fed, std::uint32_t tokens) {
  assert(tokens > 0 && tokens <= tokens_left_);
  step_entry entry;
  entry.sequence = fed.id;
  entry.position = fed.fed;
  if (fed.fed < fed.known()) {
    const auto first = fed.request.tokens.begin() + fed.fed;
    entry.tokens.assign(first, first + tokens);
  } else {
    entry.feed_sampled = true;
  }
  entry.sample = fed.fed + tokens == fed.length();
  entry.new_blocks.assign(fed.table.blocks.begin() + fed.blocks_announced, fed.table.blocks.end());
  flight_.shares.push_back({.fed = &fed, .position = fed.fed, .tokens = tokens, .sample = entry.sample});

  fed.fed += tokens;
  fed.unseen += entry.sample ? 1 : 0;
  fed.blocks_announced = static_cast<std::uint32_t>(fed.table.blocks.size());
  fed.last_step = plan_.step;
  ++fed.steps_in_flight;
  tokens_left_ -= tokens;
  plan_.entries.push_back(std::move(entry));
}

}  // namespace troupe
