// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/sampling.hpp"
#include "runtime/engine/sequence_table.hpp"
#include "runtime/model/cuda_decoder.hpp"

namespace troupe {

/// The bounds of a step's description.
struct cuda_step_limits {
  std::size_t batch_tokens = 0;
  std::size_t block_tokens = 0;
  std::size_t positions = 0;  ///< of the longest sequence
  std::size_t group = 1;      ///< query heads that share a key/value head
};

/// What a step feeds and samples, as the kernels want it: laid out in page-locked memory, copied to the device in one
/// piece. Where each array lies depends on the numbers of tokens, sequences, tiles and samples alone, so that a
/// captured graph finds them again. A step may be filled while the one before it is still to be copied; a negative
/// token id -1 - r stands for what is chosen for row r of that one's logits, which the device knows before the host.
class cuda_step {
 public:
  cuda_step() = default;
  explicit cuda_step(const cuda_step_limits& limits);
  /// Device memory that it takes, and twice as much page-locked memory.
  static std::size_t bytes_for(const cuda_step_limits& limits);

  /// Takes the entries of a plan. Entries of one token come first; with `padded_to` not 0 all are such, each sampled,
  /// and rows that do nothing fill up to that many. Throws engine_error when the block tables do not fit.
  void fill(const std::vector<applied_entry>& entries, std::size_t padded_to);

  /// Steps filled since the last restart, which number a group's passes.
  std::uint32_t pass() const { return pass_; }
  void restart_passes() { pass_ = 0; }

  /// Enqueues the copy.
  void upload(cuda_stream stream) const;

  cuda_batch batch() const;
  /// Device memory for the tokens that are chosen, [batch_tokens]; the next step's negative ids mean these.
  std::int32_t* chosen() const { return chosen_.as<std::int32_t>(); }

  /// The sampling entries' sequences, in the order of the rows of logits.
  const std::vector<engine_sequence*>& sampled() const { return sampled_; }
  /// Their places among the plan's sampling entries.
  const std::vector<std::size_t>& sampled_order() const { return sampled_order_; }

 private:
  struct counts {
    std::size_t tokens = 0, singles = 0, sequences = 0, samples = 0, tiles = 0;
  };
  /// Starts of the arrays, in 32-bit words.
  struct offsets {
    explicit offsets(const counts& n);
    std::size_t pass, tokens, positions, slots, first_row, rows, kv_tokens, table_start, sampled_row, tiles, table;
  };

  static std::size_t description_bytes(const cuda_step_limits& limits);
  void count(const std::vector<applied_entry>& entries, std::size_t padded_to);
  void add(const applied_entry& entry);
  void pad(std::size_t rows);

  cuda_step_limits limits_;
  std::array<pinned_buffer, 2> host_;
  std::size_t turn_ = 0;  ///< which of the two the last step lies in
  device_buffer device_;
  device_buffer chosen_;
  counts total_;
  counts used_;
  std::size_t table_entries_ = 0;
  std::uint32_t pass_ = 0;
  std::vector<engine_sequence*> sampled_;
  std::vector<std::size_t> sampled_order_;
};

}  // namespace troupe
