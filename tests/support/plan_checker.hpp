// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <vector>

#include "runtime/step_plan.hpp"

namespace troupe::test {

/// A plan that a rank could not or must not run.
class plan_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct plan_checker_options {
  troupe::epoch epoch;
  std::uint32_t blocks = 0;
  std::uint32_t block_tokens = 0;
  std::uint32_t vocabulary = 0;
  std::uint32_t max_sequences = 0;
  std::uint32_t max_batch_tokens = 0;
};

/// A rank without arithmetic: follows every plan as a rank does, keeps in each KV slot what was written there, and
/// throws plan_error as soon as a sequence would read a slot that does not hold its own past, or a block is given away
/// while a step that is not completed may use it. Its tokens are a hash of everything fed, so that a sequence that was
/// fed anything else gives other tokens than `sequential` says.
class plan_checker {
 public:
  explicit plan_checker(plan_checker_options options);

  step_result run(const step_plan& plan);

  /// The scheduler knows the results up to this step: blocks that only these used may be given away.
  void completed(std::uint64_t step) { completed_ = step; }

  /// The token that follows `history`.
  static token_id next_token(std::span<const token_id> history, std::uint32_t prompt_tokens,
                             const sampling_params& sampling, std::uint32_t vocabulary);

 private:
  struct slot {
    std::uint64_t past = 0;  // hash of the sequence's tokens up to the one written here; 0: nothing written
    std::uint64_t step = 0;
  };

  struct sequence {
    sampling_params sampling;
    std::uint32_t prompt_tokens = 0;
    std::vector<token_id> fed;
    std::vector<std::uint64_t> pasts;  // for each token fed
    std::vector<block_id> blocks;
    bool has_sample = false;  // the last step sampled a token, which is not fed yet
    token_id sample = 0;
  };

  void end(sequence_id id);
  void start(const sequence_start& started, std::uint64_t step);
  void write(const step_entry& entry, std::uint64_t step);
  void read(const step_entry& entry);
  void take_blocks(sequence& taker, const step_entry& entry);
  void write_token(sequence& fed, token_id token, std::uint64_t step);
  sequence& find(sequence_id id);
  slot& slot_of(const sequence& owner, std::size_t position);

  plan_checker_options options_;
  std::uint64_t step_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t newest_sequence_ = 0;
  std::map<sequence_id, sequence> live_;
  std::vector<slot> slots_;
  std::vector<std::uint64_t> last_use_;  // step that read or wrote the block last
  std::vector<std::uint32_t> tables_;    // tables of live sequences that have the block
};

}  // namespace troupe::test
