// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/execution.hpp"
#include "runtime/collective/communicator.hpp"
#include "runtime/ids.hpp"
#include "runtime/model/activations.hpp"
#include "runtime/model/kv_memory.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"
#include "runtime/model/shard_weights.hpp"
#include "runtime/progress_counter.hpp"

namespace troupe {

/// The rows of one forward pass: one per token fed, sequence after sequence.
struct decoder_batch {
  std::vector<token_id> tokens;
  std::vector<std::uint32_t> positions;
  std::vector<std::int64_t> slots;  ///< where each row's keys and values go
  std::vector<attention_sequence> sequences;
};

/// The other ranks of a shard's group; null where there are none.
struct group_links {
  communicator* tensor = nullptr;    ///< rank = tensor_rank
  communicator* pipeline = nullptr;  ///< this shard in all stages; rank = stage
};

/// The forward pass of one shard, written once as a list of ops: Llama; Qwen3 adds a norm of query and key heads,
/// Qwen2 a bias to query, key and value.
class decoder {
 public:
  decoder(const model_config& config, const shard& part, std::shared_ptr<const shard_weights> weights,
          group_links links, std::size_t batch_tokens);

  /// Runs this shard's layers over the batch: takes the rows from the tokens or the stage before, leaves them here or
  /// sends them to the next stage. Stops with collective_error soon after `stop` is set. Advances `progress`, which may
  /// be null, after every layer.
  void forward(const execution& on, const decoder_batch& batch, const kv_memory& cache, const std::atomic<bool>& stop,
               progress_counter* progress = nullptr);

  /// On the last stage: this rank's part of the logits of some rows of the last forward, at most
  /// activations::logit_rows. float32 [rows, vocabulary part]; valid until the next call.
  tensor logits(const execution& on, std::span<const std::size_t> rows);

 private:
  void take_rows(const execution& on, const decoder_batch& batch, tensor hidden);
  void attend(const execution& on, const layer_weights& layer, const decoder_batch& batch, const kv_layer& cache);
  void feed_forward(const execution& on, const layer_weights& layer, std::size_t tokens);
  void reduce(tensor partial);

  const model_config config_;
  const shard part_;
  const shard_layout layout_;
  std::shared_ptr<const shard_weights> weights_;
  group_links links_;
  std::vector<float> rope_frequencies_;
  activations buffers_;
};

}  // namespace troupe
