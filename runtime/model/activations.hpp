// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/host_buffer.hpp"
#include "kernels/tensor.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// The buffers of a forward pass, made once for the largest batch; each is float32 [batch tokens, size].
class activations {
 public:
  /// Logits are made for at most so many rows at a time: a row has the size of the vocabulary.
  static constexpr std::size_t logit_rows = 32;

  activations() = default;
  activations(const model_config& config, const shard_layout& layout, std::size_t batch_tokens);
  static std::size_t bytes_for(const model_config& config, const shard_layout& layout, std::size_t batch_tokens);

  tensor hidden;  ///< the residual stream
  tensor normed;
  tensor delta;  ///< what a layer's half adds to the residual stream
  tensor query, key, value, attended;
  tensor gate, up;
  tensor cosines, sines;
  tensor last;    ///< [logit_rows, hidden]: final norm of the rows whose logits are asked
  tensor logits;  ///< [logit_rows, vocabulary_padded]: this rank's part

 private:
  host_buffer memory_;
};

}  // namespace troupe
