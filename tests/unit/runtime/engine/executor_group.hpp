// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/engine/model_executor.hpp"
#include "tests/unit/runtime/engine/thread_group.hpp"

namespace troupe {

/// The executors of a whole group, each with a thread of its own while it runs.
class executor_group {
 public:
  executor_group(const model& source, std::size_t tensor_ranks, std::size_t pipeline, const engine_options& options) {
    auto links = make_thread_links(tensor_ranks, pipeline);
    for (std::size_t i = 0; i < links.size(); ++i)
      ranks_.push_back(std::make_unique<model_executor>(
          source, shard{i % tensor_ranks, tensor_ranks, i / tensor_ranks, pipeline}, std::move(links[i]), options));
    run_on_threads(ranks_.size(), [&](std::size_t i) { ranks_[i]->load({}); });
  }

  /// The result of the rank that samples.
  step_result run(const step_plan& plan) {
    std::vector<step_result> results(ranks_.size());
    run_on_threads(ranks_.size(), [&](std::size_t i) { results[i] = ranks_[i]->run(plan); });
    for (std::size_t i = 0; i < ranks_.size(); ++i)
      if (ranks_[i]->samples()) return results[i];
    throw std::logic_error("no rank samples");
  }

  model_executor& rank(std::size_t index) { return *ranks_[index]; }
  std::size_t size() const { return ranks_.size(); }

 private:
  std::vector<std::unique_ptr<model_executor>> ranks_;
};

/// Makes plans for sequences that are fed by hand: numbers the steps and gives out blocks in order.
class plan_maker {
 public:
  explicit plan_maker(std::size_t block_tokens, std::vector<block_id> free_blocks = {})
      : block_tokens_(block_tokens), free_blocks_(std::move(free_blocks)) {}

  step_plan& begin() {
    plan_ = {};
    plan_.epoch = epoch{1};
    plan_.step = ++step_;
    return plan_;
  }

  void start(std::uint64_t id, std::size_t prompt_tokens, const sampling_params& sampling) {
    sequence_start start;
    start.sequence = {id};
    start.sampling = sampling;
    start.prompt_tokens = static_cast<std::uint32_t>(prompt_tokens);
    plan_.started.push_back(start);
  }

  void feed(std::uint64_t id, std::vector<token_id> tokens, bool sample) { add(id, std::move(tokens), false, sample); }
  void feed_sampled(std::uint64_t id) { add(id, {}, true, true); }

 private:
  struct progress {
    std::uint32_t fed = 0;
    std::size_t blocks = 0;
  };

  void add(std::uint64_t id, std::vector<token_id> tokens, bool sampled, bool sample) {
    auto& sequence = sequences_[id];
    step_entry entry;
    entry.sequence = {id};
    entry.position = sequence.fed;
    sequence.fed += sampled ? 1 : static_cast<std::uint32_t>(tokens.size());
    for (; sequence.blocks * block_tokens_ < sequence.fed; ++sequence.blocks)
      entry.new_blocks.push_back(take_block());
    entry.tokens = std::move(tokens);
    entry.feed_sampled = sampled;
    entry.sample = sample;
    plan_.entries.push_back(std::move(entry));
  }

  block_id take_block() {
    if (free_blocks_.empty()) return next_block_++;
    const auto block = free_blocks_.back();
    free_blocks_.pop_back();
    return block;
  }

  std::size_t block_tokens_;
  std::vector<block_id> free_blocks_;  // given out from the back
  block_id next_block_ = 0;
  std::uint64_t step_ = 0;
  std::map<std::uint64_t, progress> sequences_;
  step_plan plan_;
};

inline std::string model_folder(const std::string& name) { return TROUPE_SOURCE_DIR "/tests/data/models/" + name; }

/// temperature 0.
inline sampling_params greedy(std::int32_t logprobs = -1) {
  sampling_params params;
  params.temperature = 0;
  params.logprobs = logprobs;
  return params;
}

}  // namespace troupe
