// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/admitter.hpp"

#include <memory>
#include <utility>

#include "runtime/scheduler/stop_rule.hpp"

namespace troupe {

sequence* admitter::try_admit(turn key) {
  if (!has_slot() || !may_pass(key)) return nullptr;
  const bool is_first = state_.waiting.begin()->first == key;
  block_table table;
  if (!find_blocks(state_.waiting.at(key), table)) {
    first_misses_blocks_ |= is_first;
    return nullptr;
  }
  if (!is_first && first_misses_blocks_) ++state_.waiting.at(state_.waiting.begin()->first).overtaken;
  return &start(key, std::move(table));
}

bool admitter::may_pass(turn key) const {
  const auto& [first, request] = *state_.waiting.begin();
  return key == first || request.overtaken < overtakings_max;
}

bool admitter::find_blocks(waiting_request& candidate, block_table& table) {
  auto& kv = state_.kv;
  const auto spare = static_cast<std::uint32_t>(state_.running.size());
  // Looking the prefix up costs time, so a request that missed is tried again only when more is available.
  if (tries_in_vain_ == tries_max || candidate.blocks_missed + spare > kv.available()) return false;
  const auto& tokens = candidate.request.tokens;
  const auto available = kv.available();
  table = kv.open(tokens);
  const auto found_cached = available - kv.available();
  const auto missing = static_cast<std::uint32_t>(kv.blocks_for(tokens.size()) - table.blocks.size());
  if (missing + spare <= kv.available()) return true;
  kv.close(table);
  candidate.blocks_missed = missing + found_cached;
  ++tries_in_vain_;
  return false;
}

sequence& admitter::start(turn key, block_table table) {
  auto started = std::make_unique<sequence>();
  started->id = sequence_id{++state_.sequences};
  started->request = state_.waiting.take(key);
  started->turn = key;
  started->turn.resumed = false;
  started->limit = length_limit(started->request, state_.options);
  started->blocks_announced = static_cast<std::uint32_t>(table.blocks.size());
  started->fed = started->written = started->blocks_announced * state_.options.block_tokens;
  started->reused = std::min(started->fed, started->request.prompt_tokens);
  started->table = std::move(table);
  draft_.start(*started);
  state_.kv.grow(started->table, started->known());
  state_.totals.prefix_tokens_reused += started->fed;
  state_.pace.note_start(started->known(), started->fed);
  return state_.running.add(std::move(started));
}

}  // namespace troupe
