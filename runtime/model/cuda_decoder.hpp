// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/device_buffer.hpp"
#include "kernels/cuda/gemm.hpp"
#include "kernels/cuda/gemv.hpp"
#include "runtime/model/cuda_tensor_link.hpp"
#include "runtime/model/cuda_weights.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// The rows of one forward pass, as arrays on the device. Sequences of one row come first, and so do
/// their rows.
struct cuda_batch {
  std::size_t tokens = 0;
  const std::uint32_t* pass = nullptr;      ///< the number of this pass, from 1, the same on all ranks of a group
  const std::int32_t* token_ids = nullptr;  ///< [tokens]; negative: -1 - a place in `chosen`
  const std::int32_t* chosen = nullptr;     ///< tokens that were chosen on the device
  const std::int32_t* positions = nullptr;  ///< [tokens]
  const std::int32_t* slots = nullptr;      ///< [tokens]; negative: a row that is padding
  std::size_t single_sequences = 0;         ///< those of one row
  std::size_t tiles = 0;                    ///< of the others
  const attention_tile* tile = nullptr;
  const std::int32_t* first_row = nullptr;  ///< [sequences], as paged_attention_call wants them
  const std::int32_t* rows = nullptr;
  const std::int32_t* kv_tokens = nullptr;
  const std::int32_t* table_start = nullptr;
  const std::int32_t* table = nullptr;
  std::size_t sampled = 0;                    ///< rows whose logits are wanted
  const std::int32_t* sampled_row = nullptr;  ///< [sampled]
};

/// The bounds that the decoder's buffers are made for.
struct cuda_decoder_limits {
  std::size_t batch_tokens = 0;
  std::size_t logit_rows = 0;
  std::size_t block_tokens = 0;
  std::size_t blocks = 0;
};

/// How a shard's decoder reaches the others; null where there are none. They outlive the decoder.
struct cuda_decoder_links {
  const cuda_tensor_link* tensor = nullptr;
  device_communicator* pipeline = nullptr;  ///< the same shard in all stages; its rank is the stage
};

/// The forward pass of a model on one device, or of one shard of it on each of several: runtime/model/decoder's list of
/// ops in the fused form that a GPU wants. Residuals are float32, all other activations bf16, sums float32. A step of
/// one row goes through gemv_cuda, which does norm, gate and residual on the way; one of up to few_rows_max through
/// few_rows_cuda, which does gate and residual; the others through cuBLASLt. Ranks of a group add up their shares after
/// the embedding, the output and the down projection, and all get all logits. A stage receives its rows from the one
/// before, at every shard from the same shard, and sends them to the next.
class cuda_decoder {
 public:
  cuda_decoder(const model_config& config, const shard& part, cuda_weights weights, const cuda_decoder_links& links,
               const cuda_device& device, const cuda_decoder_limits& limits);

  /// Device memory that a decoder takes besides the weights, without and with KV cache.
  static std::uint64_t activation_bytes(const model_config& config, const shard& part,
                                        const cuda_decoder_limits& limits);
  static std::uint64_t kv_bytes(const model_config& config, const shard& part, const cuda_decoder_limits& limits);

  /// Chooses the algorithms of every product that steps can have: of each power of two of tokens, and of rows sampled.
  /// Waits for the device.
  void tune(cuda_stream stream);

  /// What tune has chosen, for a later process; see gemm_library.
  std::vector<std::byte> choices() const { return gemm_.choices(); }
  bool take_choices(std::span<const std::byte> bytes) { return gemm_.take_choices(bytes); }

  /// Enqueues the layers and the logits of the rows that are sampled. May be captured, after tune and once a step of
  /// one and of several tokens has run.
  void enqueue(const cuda_batch& batch, cuda_stream stream);

  /// f32 [batch.sampled, vocabulary] of the last batch, on every rank of the last stage.
  float* logits() const { return buffers_.logits; }

 private:
  /// Pieces of one piece of device memory.
  struct buffers {
    float* hidden = nullptr;
    float* partial = nullptr;  ///< of a group: this rank's share of what is added to hidden, or what a stage receives
    bf16 *normed = nullptr, *qkv = nullptr, *attended = nullptr, *gate_up = nullptr, *activated = nullptr;
    float* logits = nullptr;
    float *logits_part = nullptr, *logits_gathered = nullptr;  ///< of a group
    float *frequencies = nullptr, *angles = nullptr;
    attention_workspace attention;
    std::size_t bytes = 0;
  };
  /// Without a base only the bytes count.
  static buffers lay_out(std::byte* base, const model_config& whole, const shard& part,
                         const cuda_decoder_limits& limits);

  /// Whether ranks add up so many rows rounded to bf16.
  bool adds_rounded(std::size_t tokens) const { return link_ && !link_->direct(tokens, config_.hidden_size); }
  gemm_call qkv_product(std::size_t layer, std::size_t tokens) const;
  gemm_call o_product(std::size_t layer, std::size_t tokens) const;
  gemm_call gate_up_product(std::size_t layer, std::size_t tokens) const;
  gemm_call down_product(std::size_t layer, std::size_t tokens) const;
  gemm_call head_product(std::size_t rows) const;
  gemv_call qkv_row(std::size_t layer) const;
  gemv_call head_row() const;
  void enqueue_row(const cuda_batch& batch, std::size_t layer, cuda_stream stream);
  void enqueue_rows(const cuda_batch& batch, std::size_t layer, cuda_stream stream);
  void multiply(const gemm_call& call, cuda_stream stream);
  void multiply_gated(const gemm_call& call, cuda_stream stream);
  void attend(const cuda_batch& batch, std::size_t layer, const l2_prefetch& next, cuda_stream stream);
  paged_cache cache_of(std::size_t layer) const;
  void add_row(gemv_call call, exchange_point point, const cuda_batch& batch, cuda_stream stream) const;
  void add_and_norm(const cuda_batch& batch, exchange_point point, const bf16* norm, cuda_stream stream) const;
  void add_up(const cuda_batch& batch, exchange_point point, const bf16* norm, cuda_stream stream) const;
  void take_rows(const cuda_batch& batch, const bf16* norm, cuda_stream stream);
  void enqueue_logits(const cuda_batch& batch, cuda_stream stream);
  void gather_logits(const cuda_batch& batch, cuda_stream stream) const;

  const shard part_;
  const shard_layout layout_;
  const model_config config_;  ///< of this shard: its heads, its layers, its columns between the projections
  const cuda_tensor_link* link_;
  device_communicator* pipeline_;
  const cuda_weights weights_;
  const cuda_decoder_limits limits_;
  const std::size_t multiprocessors_;
  gemm_library gemm_;
  device_buffer memory_;
  device_buffer kv_memory_;
  const buffers buffers_;
};

}  // namespace troupe
