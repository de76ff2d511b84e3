// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/sampling_params.hpp"

namespace troupe {

/// A sequence that the ranks hear of for the first time in this epoch (or again after a preemption).
struct sequence_start {
  sequence_id sequence;
  sampling_params sampling;
  std::uint32_t prompt_tokens = 0;      ///< positions below this are prompt, the others output (for the penalties)
  std::vector<token_id> cached_tokens;  ///< tokens whose KV is already in `blocks` (prefix reuse); whole blocks only
  std::vector<block_id> blocks;         ///< the blocks that hold them, in order
};

/// The share of one sequence in one step: feed `tokens` at positions `position`, `position + 1`, ...
struct step_entry {
  sequence_id sequence;
  std::uint32_t position = 0;        ///< position of the first token fed = number of tokens fed before
  std::vector<token_id> tokens;      ///< empty exactly when feed_sampled
  bool feed_sampled = false;         ///< feed the one token that the previous step of this sequence sampled
  bool sample = false;               ///< choose a token from the last position's logits
  std::vector<block_id> new_blocks;  ///< blocks appended to the sequence's block table before this step
};

/// What every rank of a group does in one step. Rank 0's scheduler makes it; the others check and apply.
/// Steps of an epoch are numbered from 1 without a gap. `ended` is applied first, then `started`, then `entries`.
struct step_plan {
  troupe::epoch epoch;
  std::uint64_t step = 0;
  std::vector<sequence_id> ended;  ///< sequences to forget; their blocks may be used by this very plan
  std::vector<sequence_start> started;
  std::vector<step_entry> entries;
  std::uint64_t cluster = 0;  ///< it was made in; with `epoch` what a receiver judges it by

  /// Number of tokens fed by the step.
  std::size_t tokens() const {
    std::size_t sum = 0;
    for (const auto& entry : entries)
      sum += entry.feed_sampled ? 1 : entry.tokens.size();
    return sum;
  }
};

struct token_logprob {
  token_id token = 0;
  float logprob = 0;
  friend bool operator==(const token_logprob&, const token_logprob&) = default;
};

struct sampled_token {
  sequence_id sequence;
  std::uint32_t position = 0;  ///< of the sampled token itself: one past the last one fed
  token_id token = 0;
  float logprob = 0;               ///< natural log of its probability before temperature, as OpenAI's; 0 if not asked
  std::vector<token_logprob> top;  ///< the most likely ones, greatest first, as many as asked
};

/// What a step gave. `sampled` is in the order of the plan's sampling entries; filled on the rank that samples
/// (`executor::samples()`) and empty on the others.
struct step_result {
  troupe::epoch epoch;
  std::uint64_t step = 0;
  std::vector<sampled_token> sampled;
  std::uint64_t busy_us = 0;  ///< time that the engine was at this step
  std::uint64_t cluster = 0;  ///< of the plan
};

template <class Inspector>
bool inspect(Inspector& f, sequence_start& x) {
  return f.object(x).fields(f.field("sequence", x.sequence), f.field("sampling", x.sampling),
                            f.field("prompt_tokens", x.prompt_tokens), f.field("cached_tokens", x.cached_tokens),
                            f.field("blocks", x.blocks));
}

template <class Inspector>
bool inspect(Inspector& f, step_entry& x) {
  return f.object(x).fields(f.field("sequence", x.sequence), f.field("position", x.position),
                            f.field("tokens", x.tokens), f.field("feed_sampled", x.feed_sampled),
                            f.field("sample", x.sample), f.field("new_blocks", x.new_blocks));
}

template <class Inspector>
bool inspect(Inspector& f, step_plan& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("step", x.step), f.field("ended", x.ended),
                            f.field("started", x.started), f.field("entries", x.entries),
                            f.field("cluster", x.cluster));
}

template <class Inspector>
bool inspect(Inspector& f, token_logprob& x) {
  return f.object(x).fields(f.field("token", x.token), f.field("logprob", x.logprob));
}

template <class Inspector>
bool inspect(Inspector& f, sampled_token& x) {
  return f.object(x).fields(f.field("sequence", x.sequence), f.field("position", x.position), f.field("token", x.token),
                            f.field("logprob", x.logprob), f.field("top", x.top));
}

template <class Inspector>
bool inspect(Inspector& f, step_result& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("step", x.step), f.field("sampled", x.sampled),
                            f.field("busy_us", x.busy_us), f.field("cluster", x.cluster));
}

}  // namespace troupe
