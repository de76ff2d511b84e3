// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/sequence_table.hpp"

#include <unordered_set>

#include <fmt/format.h>

#include "runtime/engine/engine_error.hpp"

namespace troupe {

const std::vector<applied_entry>& sequence_table::apply(const step_plan& plan) {
  check_step(plan);
  for (auto id : plan.ended)
    end(id);
  for (const auto& start_ : plan.started)
    start(start_);
  applied_.clear();
  std::unordered_set<sequence_id> fed;
  for (const auto& entry : plan.entries) {
    if (!fed.insert(entry.sequence).second) fail(entry.sequence, "it has two entries in one step");
    applied_.push_back(feed(entry));
  }
  return applied_;
}

void sequence_table::learn(sequence_id id, std::uint32_t position, token_id token) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  auto& sequence = found->second;
  if (position < sequence.tokens.size()) {
    if (auto& fed = sequence.tokens[position]; fed < 0) fed = token;
  } else if (sequence.sampled && *sequence.sampled < 0) {
    sequence.sampled = token;
  }
}

void sequence_table::check_step(const step_plan& plan) {
  if (epoch_ && *epoch_ != plan.epoch)
    throw engine_error(
        fmt::format("a plan of epoch {} came to an executor of epoch {}", plan.epoch.value, epoch_->value));
  if (plan.step != step_ + 1) throw engine_error(fmt::format("step {} came after step {}", plan.step, step_));
  if (plan.tokens() > limits_.batch_tokens_max)
    throw engine_error(fmt::format("step {} feeds {} tokens; at most {} were agreed", plan.step, plan.tokens(),
                                   limits_.batch_tokens_max));
  epoch_ = plan.epoch;
  step_ = plan.step;
}

void sequence_table::end(sequence_id id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) fail(id, "it ends but is not known");
  for (auto block : found->second.blocks)
    --block_users_[static_cast<std::size_t>(block)];
  sequences_.erase(found);
}

void sequence_table::start(const sequence_start& start) {
  if (sequences_.contains(start.sequence)) fail(start.sequence, "it starts twice");
  if (auto error = find_error(start.sampling, static_cast<std::int32_t>(limits_.vocabulary_size)); !error.empty())
    fail(start.sequence, error);
  if (start.cached_tokens.size() != start.blocks.size() * limits_.block_tokens)
    fail(start.sequence, fmt::format("{} cached tokens do not fill {} blocks of {}", start.cached_tokens.size(),
                                     start.blocks.size(), limits_.block_tokens));
  check_tokens(start.sequence, start.cached_tokens);
  engine_sequence sequence;
  sequence.id = start.sequence;
  sequence.sampling = start.sampling;
  sequence.prompt_tokens = start.prompt_tokens;
  sequence.tokens = start.cached_tokens;
  add_blocks(sequence, start.blocks);
  sequences_.emplace(start.sequence, std::move(sequence));
}

applied_entry sequence_table::feed(const step_entry& entry) {
  const auto found = sequences_.find(entry.sequence);
  if (found == sequences_.end()) fail(entry.sequence, "it is fed but not known");
  auto& sequence = found->second;
  if (entry.feed_sampled != entry.tokens.empty()) fail(entry.sequence, "an entry has either tokens or feed_sampled");
  if (entry.position != sequence.tokens.size())
    fail(entry.sequence,
         fmt::format("it is fed from position {} after {} tokens", entry.position, sequence.tokens.size()));
  add_blocks(sequence, entry.new_blocks);
  const auto count = entry.feed_sampled ? 1 : entry.tokens.size();
  if (entry.position + count > limits_.positions_max)
    fail(entry.sequence,
         fmt::format("it reaches position {}; the model has {}", entry.position + count, limits_.positions_max));
  check_writable(sequence, entry.position, count);
  if (entry.feed_sampled) {
    if (!limits_.knows_sampled) fail(entry.sequence, "feed_sampled needs a group of one pipeline stage");
    if (!sequence.sampled) fail(entry.sequence, "feed_sampled, but its last step sampled nothing");
    sequence.tokens.push_back(*sequence.sampled);
  } else {
    check_tokens(entry.sequence, entry.tokens);
    sequence.tokens.insert(sequence.tokens.end(), entry.tokens.begin(), entry.tokens.end());
  }
  sequence.sampled.reset();
  return {&sequence, entry.position, static_cast<std::uint32_t>(count), entry.sample};
}

void sequence_table::add_blocks(engine_sequence& sequence, const std::vector<block_id>& blocks) {
  for (auto block : blocks) {
    if (block < 0 || static_cast<std::size_t>(block) >= limits_.blocks)
      fail(sequence.id, fmt::format("it is given block {} of {}", block, limits_.blocks));
    ++block_users_[static_cast<std::size_t>(block)];
    sequence.blocks.push_back(block);
  }
}

void sequence_table::check_tokens(sequence_id id, const std::vector<token_id>& tokens) const {
  for (auto token : tokens)
    if (token < 0 || static_cast<std::size_t>(token) >= limits_.vocabulary_size)
      fail(id, fmt::format("it is fed token {}; the model has {}", token, limits_.vocabulary_size));
}

void sequence_table::check_writable(const engine_sequence& sequence, std::size_t position, std::size_t count) const {
  const auto last = (position + count - 1) / limits_.block_tokens;
  if (last >= sequence.blocks.size())
    fail(sequence.id, fmt::format("positions {} to {} do not fit into its {} blocks of {}", position,
                                  position + count - 1, sequence.blocks.size(), limits_.block_tokens));
  for (auto index = position / limits_.block_tokens; index <= last; ++index) {
    const auto block = sequence.blocks[index];
    if (block_users_[static_cast<std::size_t>(block)] != 1)
      fail(sequence.id, fmt::format("it would write block {}, which is in use {} times", block,
                                    block_users_[static_cast<std::size_t>(block)]));
  }
}

void sequence_table::fail(sequence_id id, const std::string& what) const {
  throw engine_error(fmt::format("step {}, sequence {}: {}", step_, id.value, what));
}

}  // namespace troupe
