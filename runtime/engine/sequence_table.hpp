// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/step_plan.hpp"

namespace troupe {

/// What an executor knows of a sequence: a function of the plans so far. A negative id stands for a token that is not
/// known here yet; the executor that puts it there says what it means, and tells `learn` when it knows.
struct engine_sequence {
  sequence_id id;
  sampling_params sampling;
  std::uint32_t prompt_tokens = 0;
  std::vector<token_id> tokens;  ///< fed so far, or in the cache from the start
  std::vector<block_id> blocks;
  std::optional<token_id> sampled;  ///< not fed yet
};

/// One entry of a plan once checked and applied.
struct applied_entry {
  engine_sequence* sequence = nullptr;  ///< its `tokens` already contain those fed
  std::uint32_t position = 0;
  std::uint32_t tokens = 0;
  bool sample = false;
};

/// The bounds within which plans must stay.
struct sequence_limits {
  std::size_t vocabulary_size = 0;
  std::size_t positions_max = 0;
  std::size_t block_tokens = 0;
  std::size_t blocks = 0;
  std::size_t batch_tokens_max = 0;
  bool knows_sampled = true;  ///< this rank hears which tokens are sampled, so a plan may say feed_sampled
};

/// The sequences of an epoch. Every plan is checked against them: a plan that contradicts them means that ranks
/// disagree, and running it would corrupt the cache in silence.
class sequence_table {
 public:
  explicit sequence_table(const sequence_limits& limits) : limits_(limits), block_users_(limits.blocks) {}

  /// Throws engine_error naming the step, the sequence and the contradiction; the table is then unusable. The result is
  /// valid until the next call.
  const std::vector<applied_entry>& apply(const step_plan& plan);

  /// The token at `position`, where a negative id stands for it; nothing happens where the sequence has ended since.
  void learn(sequence_id id, std::uint32_t position, token_id token);

  std::size_t size() const { return sequences_.size(); }

 private:
  void check_step(const step_plan& plan);
  void end(sequence_id id);
  void start(const sequence_start& start);
  applied_entry feed(const step_entry& entry);
  void add_blocks(engine_sequence& sequence, const std::vector<block_id>& blocks);
  void check_tokens(sequence_id id, const std::vector<token_id>& tokens) const;
  void check_writable(const engine_sequence& sequence, std::size_t position, std::size_t count) const;
  [[noreturn]] void fail(sequence_id id, const std::string& what) const;

  sequence_limits limits_;
  std::unordered_map<sequence_id, engine_sequence> sequences_;
  std::vector<std::uint32_t> block_users_;  // sequences whose block table has the block
  std::vector<applied_entry> applied_;
  std::optional<epoch> epoch_;
  std::uint64_t step_ = 0;
};

}  // namespace troupe
