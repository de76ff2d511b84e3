// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/sampling.hpp"
#include "runtime/engine/sequence_table.hpp"

namespace troupe {

/// Whether single logits change before the choice: by a bias, or by penalties, for which the host must know the tokens.
bool adjusts_logits(const sampling_params& how);

/// Samples rows of logits on the device: what choose_token does on the CPU, with the same Philox numbers. A choice may
/// be uploaded and enqueued while the one before it is under way; one that adjusts logits only when none is.
class cuda_sampler {
 public:
  cuda_sampler() = default;
  cuda_sampler(std::size_t rows_max, std::size_t vocabulary);
  static std::size_t bytes_for(std::size_t rows_max, std::size_t vocabulary);

  /// Enqueues the copy of how each sequence's token is to be chosen.
  void upload(const std::vector<engine_sequence*>& sequences, cuda_stream stream);

  /// Enqueues the choice of one token for each of those sequences from its row of `logits`; `chosen`, device memory,
  /// gets the ids once more.
  void enqueue(float* logits, std::int32_t* chosen, cuda_stream stream);

  /// Once the stream has come so far: the tokens of the oldest choice that is not taken, in the order of upload. Throws
  /// engine_error when a row had no finite logit.
  std::vector<sampled_token> take();

 private:
  struct row_asked {
    sequence_id sequence;
    std::uint32_t position = 0;
    std::int32_t logprobs = -1;
  };
  /// What the host and the device hand each other for one choice.
  struct begun_choice {
    pinned_buffer params;
    pinned_buffer outcomes;  ///< the kernels write it through the bus: sooner here than a copy after them
    std::vector<row_asked> rows;
    sampling_needs needs;
  };

  void make_room(std::size_t adjustments);
  begun_choice& newest() { return choices_[(taken_ + begun_ - 1) % choices_.size()]; }

  std::size_t vocabulary_ = 0;
  std::array<begun_choice, 2> choices_;
  std::size_t taken_ = 0;  ///< choices taken so far
  std::size_t begun_ = 0;  ///< and not taken
  device_buffer params_, workspace_;
  pinned_buffer host_adjustments_;
  device_buffer adjustments_;
};

}  // namespace troupe
