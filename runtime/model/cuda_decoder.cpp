// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/cuda_decoder.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "kernels/cuda/embedding.hpp"
#include "kernels/cuda/gemv.hpp"
#include "kernels/cuda/qk_rope_append.hpp"
#include "kernels/cuda/rms_norm.hpp"
#include "kernels/cuda/silu_mul.hpp"
#include "runtime/model/rope_angles.hpp"

namespace troupe {

namespace {

/// As many multiprocessors as any device has, for what is sized before the device is known.
constexpr std::size_t multiprocessors_max = 256;

std::size_t query_columns(const model_config& config) { return config.heads * config.head_size; }
std::size_t qkv_columns(const model_config& config) {
  return (config.heads + 2 * config.kv_heads) * config.head_size;
}

/// Parts of a divided sequence that can be under way at once; see decode_parts.
std::size_t partial_elements(const model_config& config) {
  return 2 * multiprocessors_max * (config.heads / config.kv_heads) * (config.head_size + 1);
}

/// Gives out pieces of one buffer, each aligned; without a buffer it only counts.
class pieces {
 public:
  explicit pieces(std::byte* base) : base_(base) {}

  template <class T>
  T* take(std::size_t count) {
    constexpr std::size_t alignment = 256;
    auto* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return piece;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::uint64_t cuda_decoder::activation_bytes(const model_config& config, const cuda_decoder_limits& limits) {
  pieces count(nullptr);
  const auto tokens = limits.batch_tokens;
  count.take<float>(tokens * config.hidden_size);
  count.take<bf16>(std::max(tokens, limits.logit_rows) * config.hidden_size);
  count.take<bf16>(tokens * qkv_columns(config));
  count.take<bf16>(tokens * query_columns(config));
  count.take<bf16>(tokens * 2 * config.intermediate_size);
  count.take<bf16>(tokens * config.intermediate_size);
  count.take<float>(limits.logit_rows * config.vocabulary_size);
  count.take<float>(config.head_size / 2);
  count.take<float>(partial_elements(config));
  count.take<std::uint32_t>(tokens * config.kv_heads);
  return count.bytes() + gemm_library::workspace_bytes();
}

std::uint64_t cuda_decoder::kv_bytes(const model_config& config, const cuda_decoder_limits& limits) {
  const paged_cache one{nullptr, config.kv_heads, limits.block_tokens, config.head_size};
  return std::uint64_t{limits.blocks} * one.block_elements() * sizeof(bf16) * config.layers;
}

cuda_decoder::cuda_decoder(const model_config& config, cuda_weights weights, const cuda_device& device,
                           const cuda_decoder_limits& limits)
    : config_(config),
      weights_(std::move(weights)),
      limits_(limits),
      multiprocessors_(std::min(device.multiprocessors(), multiprocessors_max)),
      memory_(activation_bytes(config, limits)),
      kv_memory_(kv_bytes(config, limits)) {
  pieces from(memory_.data());
  const auto tokens = limits.batch_tokens;
  hidden_ = from.take<float>(tokens * config.hidden_size);
  normed_ = from.take<bf16>(std::max(tokens, limits.logit_rows) * config.hidden_size);
  qkv_ = from.take<bf16>(tokens * qkv_columns(config));
  attended_ = from.take<bf16>(tokens * query_columns(config));
  gate_up_ = from.take<bf16>(tokens * 2 * config.intermediate_size);
  activated_ = from.take<bf16>(tokens * config.intermediate_size);
  logits_ = from.take<float>(limits.logit_rows * config.vocabulary_size);
  frequencies_ = from.take<float>(config.head_size / 2);
  attention_.partial = from.take<float>(partial_elements(config));
  attention_.arrived = from.take<std::uint32_t>(tokens * config.kv_heads);
  // What no token has been stored in is read beside what has, and masked: it must be finite.
  clear_device(memory_.data(), memory_.bytes(), device.stream());
  clear_device(kv_memory_.data(), kv_memory_.bytes(), device.stream());
  const auto frequencies = rope_frequencies(config);
  copy_to_device(frequencies_, frequencies.data(), frequencies.size() * sizeof(float), device.stream());
  synchronize(device.stream());
}

void cuda_decoder::enqueue(const cuda_batch& batch, cuda_stream stream) {
  assert(batch.tokens <= limits_.batch_tokens && batch.sampled <= limits_.logit_rows);
  if (batch.tokens == 0) return;
  const auto hidden = config_.hidden_size, vocabulary = config_.vocabulary_size;
  embedding_cuda(weights_.embedding, 0, vocabulary, hidden, batch.token_ids, batch.tokens, hidden_, stream);
  const bool one_row = batch.tokens == 1;
  for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) {
    if (one_row)
      enqueue_row(batch, layer, stream);
    else
      enqueue_rows(batch, layer, stream);
  }
  if (batch.sampled == 0) return;
  if (one_row) {
    gemv_call head{weights_.head, vocabulary, hidden};
    head.residual = hidden_, head.norm = weights_.final_norm, head.epsilon = config_.norm_epsilon;
    head.out_f32 = logits_;
    gemv_cuda(head, stream);
    return;
  }
  rms_norm_cuda(hidden_, batch.sampled_row, weights_.final_norm, config_.norm_epsilon, batch.sampled, hidden, normed_,
                stream);
  gemm_.run({.x = normed_,
             .weight = weights_.head,
             .out = logits_,
             .out_type = dtype::f32,
             .m = batch.sampled,
             .n = vocabulary,
             .k = hidden},
            stream);
}

void cuda_decoder::enqueue_row(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  gemv_call qkv{w.qkv, qkv_columns(config_), hidden};
  qkv.residual = hidden_, qkv.norm = w.attention_norm, qkv.epsilon = config_.norm_epsilon;
  qkv.out = qkv_, qkv.bias = w.qkv_bias;
  gemv_cuda(qkv, stream);
  attend(batch, layer, stream);
  gemv_call o{w.o, hidden, query_columns(config_)};
  o.x = attended_, o.accumulated = hidden_;
  gemv_cuda(o, stream);
  gemv_call gate_up{w.gate_up, 2 * intermediate, hidden};
  gate_up.residual = hidden_, gate_up.norm = w.mlp_norm, gate_up.epsilon = config_.norm_epsilon;
  gate_up.gated = activated_;
  gemv_cuda(gate_up, stream);
  gemv_call down{w.down, hidden, intermediate};
  down.x = activated_, down.accumulated = hidden_;
  gemv_cuda(down, stream);
}

void cuda_decoder::enqueue_rows(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto tokens = batch.tokens, hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const auto multiply = [&](const bf16* x, const bf16* weight, std::size_t n, std::size_t k, bf16* out,
                            const bf16* bias) {
    gemm_.run({.x = x, .weight = weight, .bias = bias, .out = out, .out_type = dtype::bf16, .m = tokens, .n = n, .k = k},
              stream);
  };
  const auto add_product = [&](const bf16* x, const bf16* weight, std::size_t k) {
    gemm_.run({.x = x,
               .weight = weight,
               .out = hidden_,
               .out_type = dtype::f32,
               .accumulate = true,
               .m = tokens,
               .n = hidden,
               .k = k},
              stream);
  };
  rms_norm_cuda(hidden_, nullptr, w.attention_norm, config_.norm_epsilon, tokens, hidden, normed_, stream);
  multiply(normed_, w.qkv, qkv_columns(config_), hidden, qkv_, w.qkv_bias);
  attend(batch, layer, stream);
  add_product(attended_, w.o, query_columns(config_));
  rms_norm_cuda(hidden_, nullptr, w.mlp_norm, config_.norm_epsilon, tokens, hidden, normed_, stream);
  multiply(normed_, w.gate_up, 2 * intermediate, hidden, gate_up_, nullptr);
  silu_mul_cuda(gate_up_, tokens, intermediate, activated_, stream);
  add_product(activated_, w.down, intermediate);
}

void cuda_decoder::attend(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto cache = cache_of(layer);
  qk_rope_append_cuda({.qkv = qkv_,
                       .tokens = batch.tokens,
                       .heads = config_.heads,
                       .q_norm = w.q_norm,
                       .k_norm = w.k_norm,
                       .epsilon = config_.norm_epsilon,
                       .frequencies = frequencies_,
                       .positions = batch.positions,
                       .slots = batch.slots,
                       .cache = cache},
                      stream);
  const paged_attention_call call{.query = qkv_,
                                  .query_stride = qkv_columns(config_),
                                  .out = attended_,
                                  .heads = config_.heads,
                                  .cache = cache,
                                  .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_size)),
                                  .first_row = batch.first_row,
                                  .rows = batch.rows,
                                  .kv_tokens = batch.kv_tokens,
                                  .table_start = batch.table_start,
                                  .table = batch.table};
  decode_attention_cuda(call, 0, batch.single_sequences,
                        decode_parts(batch.single_sequences, config_.kv_heads, multiprocessors_), attention_, stream);
  prefill_attention_cuda(call, batch.tile, batch.tiles, stream);
}

paged_cache cuda_decoder::cache_of(std::size_t layer) const {
  paged_cache cache{nullptr, config_.kv_heads, limits_.block_tokens, config_.head_size};
  cache.data = kv_memory_.as<bf16>() + layer * limits_.blocks * cache.block_elements();
  return cache;
}

}  // namespace troupe
