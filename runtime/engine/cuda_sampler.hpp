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

  /// Enqueues the choice of one token for each sequence from its row of `logits`, and the copy of what came out.
  void enqueue(const std::vector<const engine_sequence*>& sequences, float* logits, cuda_stream stream);

  /// Once the stream has come so far: the tokens of the last call, in its order. Throws engine_error when a row had no
  /// finite logit.
  std::vector<sampled_token> take(const std::vector<const engine_sequence*>& sequences) const;

 private:
  void make_room(std::size_t adjustments);

  std::size_t vocabulary_ = 0;
  pinned_buffer host_params_, host_outcomes_;
  device_buffer params_, outcomes_, workspace_;
  pinned_buffer host_adjustments_;
  device_buffer adjustments_;
};

}  // namespace troupe
