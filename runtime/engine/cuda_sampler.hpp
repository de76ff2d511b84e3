// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/sampling.hpp"
#include "runtime/engine/sequence_table.hpp"

namespace troupe {

/// Samples rows of logits on the device: what choose_token does on the CPU, with the same Philox numbers.
class cuda_sampler {
 public:
  cuda_sampler() = default;
  cuda_sampler(std::size_t rows_max, std::size_t vocabulary);
  static std::size_t bytes_for(std::size_t rows_max, std::size_t vocabulary);

  /// Enqueues the copy of how each sequence's token is to be chosen.
  void upload(const std::vector<const engine_sequence*>& sequences, cuda_stream stream);

  /// Enqueues the choice of one token for each of those sequences from its row of `logits`.
  void enqueue(float* logits, cuda_stream stream);

  /// Once the stream has come so far: the tokens of the last choice, in the order of upload. Throws engine_error when a
  /// row had no finite logit.
  std::vector<sampled_token> take(const std::vector<const engine_sequence*>& sequences) const;

 private:
  void make_room(std::size_t adjustments);

  std::size_t vocabulary_ = 0;
  std::size_t rows_ = 0;
  sampling_needs needs_;
  pinned_buffer host_params_;
  pinned_buffer outcomes_;  ///< the kernels write it through the bus: sooner here than a copy after them
  device_buffer params_, workspace_;
  pinned_buffer host_adjustments_;
  device_buffer adjustments_;
};

}  // namespace troupe
