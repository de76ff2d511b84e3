// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plan_checker.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe::test {

namespace {

template <class... Args>
void require(bool holds, fmt::format_string<Args...> text, Args&&... args) {
  if (!holds) throw plan_error(fmt::format(text, std::forward<Args>(args)...));
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ (value + 0x9e3779b97f4a7c15U)) * 0xbf58476d1ce4e5b9U;
  return hash ^ (hash >> 29U);
}

std::uint64_t past_of(std::uint64_t before, token_id token) {
  return mix(before, static_cast<std::uint64_t>(token) + 1) | 1U;  // never 0
}

token_id choose(std::uint64_t past, std::uint32_t prompt_tokens, const sampling_params& sampling,
                std::uint32_t vocabulary) {
  return static_cast<token_id>(mix(mix(past, prompt_tokens), sampling.seed) % vocabulary);
}

}  // namespace

plan_checker::plan_checker(plan_checker_options options)
    : options_(options),
      slots_(std::size_t{options.blocks} * options.block_tokens),
      last_use_(options.blocks, 0),
      tables_(options.blocks, 0) {}

token_id plan_checker::next_token(std::span<const token_id> history, std::uint32_t prompt_tokens,
                                  const sampling_params& sampling, std::uint32_t vocabulary) {
  std::uint64_t past = 0;
  for (const auto token : history)
    past = past_of(past, token);
  return choose(past, prompt_tokens, sampling, vocabulary);
}

step_result plan_checker::run(const step_plan& plan) {
  require(plan.epoch == options_.epoch, "the plan is of epoch {}", plan.epoch.value);
  require(plan.step == step_ + 1, "step {} follows step {}", plan.step, step_);
  require(!plan.entries.empty(), "step {} feeds nothing", plan.step);
  require(plan.tokens() <= options_.max_batch_tokens, "step {} feeds {} tokens", plan.step, plan.tokens());
  step_ = plan.step;
  for (const auto id : plan.ended)
    end(id);
  for (const auto& started : plan.started)
    start(started, plan.step);
  require(live_.size() <= options_.max_sequences, "step {} has {} sequences", plan.step, live_.size());
  std::set<sequence_id> fed;
  for (const auto& entry : plan.entries) {
    require(fed.insert(entry.sequence).second, "sequence {} is twice in step {}", entry.sequence.value, plan.step);
    write(entry, plan.step);
  }
  for (const auto& started : plan.started)
    require(fed.contains(started.sequence), "sequence {} starts and is not fed", started.sequence.value);
  step_result result{.epoch = plan.epoch, .step = plan.step, .sampled = {}, .busy_us = 0};
  for (const auto& entry : plan.entries) {
    read(entry);
    if (!entry.sample) continue;
    const auto& each = live_.at(entry.sequence);
    result.sampled.push_back({entry.sequence, static_cast<std::uint32_t>(each.fed.size()), each.sample, 0, {}});
  }
  return result;
}

void plan_checker::end(sequence_id id) {
  for (const auto block : find(id).blocks)
    --tables_[static_cast<std::size_t>(block)];
  live_.erase(id);
}

void plan_checker::start(const sequence_start& started, std::uint64_t step) {
  require(started.sequence.value > newest_sequence_, "sequence {} is not new", started.sequence.value);
  require(started.cached_tokens.size() == started.blocks.size() * options_.block_tokens,
          "sequence {} starts with {} tokens in {} blocks", started.sequence.value, started.cached_tokens.size(),
          started.blocks.size());
  newest_sequence_ = started.sequence.value;
  auto& each = live_[started.sequence];
  each.sampling = started.sampling;
  each.prompt_tokens = started.prompt_tokens;
  each.blocks = started.blocks;
  for (const auto block : each.blocks)
    ++tables_.at(static_cast<std::size_t>(block));
  for (const auto token : started.cached_tokens) {
    each.pasts.push_back(past_of(each.pasts.empty() ? 0 : each.pasts.back(), token));
    each.fed.push_back(token);
    const auto& written = slot_of(each, each.fed.size() - 1);
    require(written.past == each.pasts.back(), "sequence {} reuses position {}, which holds something else",
            started.sequence.value, each.fed.size() - 1);
    require(written.step < step, "sequence {} reuses what its own step writes", started.sequence.value);
  }
}

void plan_checker::write(const step_entry& entry, std::uint64_t step) {
  auto& each = find(entry.sequence);
  require(entry.position == each.fed.size(), "sequence {} is fed at {} after {} tokens", entry.sequence.value,
          entry.position, each.fed.size());
  require(entry.tokens.empty() == entry.feed_sampled, "sequence {} is fed {} tokens and feed_sampled is {}",
          entry.sequence.value, entry.tokens.size(), entry.feed_sampled);
  require(!entry.feed_sampled || each.has_sample, "sequence {} has no sampled token to feed", entry.sequence.value);
  take_blocks(each, entry);
  if (entry.feed_sampled) write_token(each, each.sample, step);
  for (const auto token : entry.tokens)
    write_token(each, token, step);
  each.has_sample = entry.sample;
  if (entry.sample) each.sample = choose(each.pasts.back(), each.prompt_tokens, each.sampling, options_.vocabulary);
}

void plan_checker::take_blocks(sequence& taker, const step_entry& entry) {
  for (const auto block : entry.new_blocks) {
    require(block >= 0 && block < static_cast<block_id>(options_.blocks), "there is no block {}", block);
    const auto index = static_cast<std::size_t>(block);
    require(tables_[index] == 0, "block {} is given to sequence {} and another has it", block, entry.sequence.value);
    require(last_use_[index] <= completed_, "block {} is given away and step {} may still use it", block,
            last_use_[index]);
    ++tables_[index];
    taker.blocks.push_back(block);
  }
}

void plan_checker::write_token(sequence& fed, token_id token, std::uint64_t step) {
  fed.pasts.push_back(past_of(fed.pasts.empty() ? 0 : fed.pasts.back(), token));
  fed.fed.push_back(token);
  const auto position = fed.fed.size() - 1;
  auto& target = slot_of(fed, position);
  require(tables_[static_cast<std::size_t>(fed.blocks[position / options_.block_tokens])] == 1,
          "position {} is written to a block that several sequences have", position);
  target = {fed.pasts.back(), step};
}

void plan_checker::read(const step_entry& entry) {
  const auto& each = live_.at(entry.sequence);
  for (std::size_t position = 0; position < each.fed.size(); ++position)
    require(slot_of(each, position).past == each.pasts[position],
            "sequence {} reads at position {} what it did not write", entry.sequence.value, position);
  for (const auto block : each.blocks)
    last_use_[static_cast<std::size_t>(block)] = step_;
}

plan_checker::sequence& plan_checker::find(sequence_id id) {
  const auto found = live_.find(id);
  require(found != live_.end(), "sequence {} is not known", id.value);
  return found->second;
}

plan_checker::slot& plan_checker::slot_of(const sequence& owner, std::size_t position) {
  const auto nth = position / options_.block_tokens;
  require(nth < owner.blocks.size(), "position {} lies behind the last of {} blocks", position, owner.blocks.size());
  return slots_[static_cast<std::size_t>(owner.blocks[nth]) * options_.block_tokens + position % options_.block_tokens];
}

}  // namespace troupe::test
