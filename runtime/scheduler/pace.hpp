// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// What is expected of the next steps of a group. Times in microseconds.
struct pace_figures {
  double token_us = 0;        ///< between two tokens of one sequence; 0: not known yet
  double step_us = 0;         ///< of a step, without the prompt tokens it reads
  double prompt_us = 0;       ///< what one prompt token adds to a step
  double stop_rate = 0;       ///< share of the tokens that end their sequence before its length does
  double computed_share = 1;  ///< of prompt tokens, those that are not found in the cache
};

/// How fast a group has been of late: a mean over some 64 steps and some ten thousand tokens, in which the older count
/// less. It has no clock: it is told how long the steps took.
class pace {
 public:
  /// `rounds`: steps until each running sequence has had its token; 1 unless a pipeline's micro-batches take turns.
  void note_step(double took_us, double prompt_tokens, double rounds);
  /// A sequence begins with `tokens` known, of which the cache had `reused`.
  void note_start(std::uint32_t tokens, std::uint32_t reused);
  /// A sequence that may stop by itself got a token; `ended`: its last, by a stop id or because nobody wants more.
  void note_token(bool ended);

  pace_figures figures() const;

 private:
  // Decayed sums over steps, for the line time = step_us + prompt_us x prompt tokens.
  double steps_ = 0, time_ = 0, interval_ = 0, prompt_ = 0, prompt_squared_ = 0, prompt_time_ = 0;
  double tokens_ = 256, ends_ = 1;  // as if one sequence had ended after 256 tokens, until better is known
  double begun_ = 0, computed_ = 0;
};

}  // namespace troupe
