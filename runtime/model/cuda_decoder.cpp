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
std::size_t qkv_columns(const model_config& config) { return (config.heads + 2 * config.kv_heads) * config.head_size; }

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
  count.take<float>(config.positions_max * config.head_size);
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
  auto* frequencies_there = from.take<float>(config.head_size / 2);
  angles_ = from.take<float>(config.positions_max * config.head_size);
  attention_.partial = from.take<float>(partial_elements(config));
  attention_.arrived = from.take<std::uint32_t>(tokens * config.kv_heads);
  // What no token has been stored in is read beside what has, and masked: it must be finite.
  clear_device(memory_.data(), memory_.bytes(), device.stream());
  clear_device(kv_memory_.data(), kv_memory_.bytes(), device.stream());
  const auto frequencies = rope_frequencies(config);
  copy_to_device(frequencies_there, frequencies.data(), frequencies.size() * sizeof(float), device.stream());
  fill_rotation_angles_cuda(frequencies_there, frequencies.size(), config.positions_max, angles_, device.stream());
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
    gemv_cuda(head_row(), stream);
    return;
  }
  rms_norm_cuda(hidden_, batch.sampled_row, weights_.final_norm, config_.norm_epsilon, batch.sampled, hidden, normed_,
                stream);
  gemm_.run(head_product(batch.sampled), stream);
}

gemv_call cuda_decoder::qkv_row(std::size_t layer) const {
  const auto& w = weights_.layers[layer];
  gemv_call call{w.qkv, qkv_columns(config_), config_.hidden_size};
  call.residual = hidden_, call.norm = w.attention_norm, call.epsilon = config_.norm_epsilon;
  call.out = qkv_, call.bias = w.qkv_bias;
  return call;
}

gemv_call cuda_decoder::head_row() const {
  gemv_call call{weights_.head, config_.vocabulary_size, config_.hidden_size};
  call.residual = hidden_, call.norm = weights_.final_norm, call.epsilon = config_.norm_epsilon;
  call.out_f32 = logits_;
  return call;
}

void cuda_decoder::enqueue_row(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  auto qkv = qkv_row(layer);
  gemv_call o{w.o, hidden, query_columns(config_)};
  o.x = attended_, o.accumulated = hidden_;
  gemv_call gate_up{w.gate_up, 2 * intermediate, hidden};
  gate_up.residual = hidden_, gate_up.norm = w.mlp_norm, gate_up.epsilon = config_.norm_epsilon;
  gate_up.gated = activated_;
  gemv_call down{w.down, hidden, intermediate};
  down.x = activated_, down.accumulated = hidden_;
  o.next = first_weights(gate_up);
  gate_up.next = first_weights(down);
  down.next = first_weights(layer + 1 < weights_.layers.size() ? qkv_row(layer + 1) : head_row());
  gemv_cuda(qkv, stream);
  attend(batch, layer, first_weights(o), stream);  // attention reads little: the weights after it come meanwhile
  gemv_cuda(o, stream);
  gemv_cuda(gate_up, stream);
  gemv_cuda(down, stream);
}

void cuda_decoder::enqueue_rows(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto tokens = batch.tokens, hidden = config_.hidden_size;
  rms_norm_cuda(hidden_, nullptr, w.attention_norm, config_.norm_epsilon, tokens, hidden, normed_, stream);
  gemm_.run(qkv_product(layer, tokens), stream);
  attend(batch, layer, {}, stream);
  gemm_.run(o_product(layer, tokens), stream);
  rms_norm_cuda(hidden_, nullptr, w.mlp_norm, config_.norm_epsilon, tokens, hidden, normed_, stream);
  gemm_.run(gate_up_product(layer, tokens), stream);
  silu_mul_cuda(gate_up_, tokens, config_.intermediate_size, activated_, stream);
  gemm_.run(down_product(layer, tokens), stream);
}

gemm_call cuda_decoder::qkv_product(std::size_t layer, std::size_t tokens) const {
  return {.x = normed_,
          .weight = weights_.layers[layer].qkv,
          .bias = weights_.layers[layer].qkv_bias,
          .out = qkv_,
          .out_type = dtype::bf16,
          .m = tokens,
          .n = qkv_columns(config_),
          .k = config_.hidden_size};
}

gemm_call cuda_decoder::o_product(std::size_t layer, std::size_t tokens) const {
  return {.x = attended_,
          .weight = weights_.layers[layer].o,
          .out = hidden_,
          .out_type = dtype::f32,
          .accumulate = true,
          .m = tokens,
          .n = config_.hidden_size,
          .k = query_columns(config_)};
}

gemm_call cuda_decoder::gate_up_product(std::size_t layer, std::size_t tokens) const {
  return {.x = normed_,
          .weight = weights_.layers[layer].gate_up,
          .out = gate_up_,
          .out_type = dtype::bf16,
          .m = tokens,
          .n = 2 * config_.intermediate_size,
          .k = config_.hidden_size};
}

gemm_call cuda_decoder::down_product(std::size_t layer, std::size_t tokens) const {
  return {.x = activated_,
          .weight = weights_.layers[layer].down,
          .out = hidden_,
          .out_type = dtype::f32,
          .accumulate = true,
          .m = tokens,
          .n = config_.hidden_size,
          .k = config_.intermediate_size};
}

gemm_call cuda_decoder::head_product(std::size_t rows) const {
  return {.x = normed_,
          .weight = weights_.head,
          .out = logits_,
          .out_type = dtype::f32,
          .m = rows,
          .n = config_.vocabulary_size,
          .k = config_.hidden_size};
}

void cuda_decoder::tune(cuda_stream stream) {
  for (std::size_t tokens = 1; tokens < 2 * limits_.batch_tokens; tokens *= 2) {
    const auto m = std::min(tokens, limits_.batch_tokens);
    for (const auto& call : {qkv_product(0, m), o_product(0, m), gate_up_product(0, m), down_product(0, m)})
      gemm_.tune(call, stream);
    gemm_.tune(head_product(std::min(m, limits_.logit_rows)), stream);
  }
}

void cuda_decoder::attend(const cuda_batch& batch, std::size_t layer, const l2_prefetch& next, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto cache = cache_of(layer);
  const head_rotation rotation{w.q_norm, w.k_norm, config_.norm_epsilon, angles_};
  const auto singles = batch.single_sequences;
  qk_rope_append_cuda({.qkv = qkv_ + singles * qkv_columns(config_),
                       .tokens = batch.tokens - singles,
                       .heads = config_.heads,
                       .rotation = rotation,
                       .positions = batch.positions + singles,
                       .slots = batch.slots + singles,
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
                                  .table = batch.table,
                                  .next = next};
  decode_attention_cuda(call, rotation, singles, decode_parts(singles, config_.kv_heads, multiprocessors_), attention_,
                        stream);
  prefill_attention_cuda(call, batch.tile, batch.tiles, stream);
}

paged_cache cuda_decoder::cache_of(std::size_t layer) const {
  paged_cache cache{nullptr, config_.kv_heads, limits_.block_tokens, config_.head_size};
  cache.data = kv_memory_.as<bf16>() + layer * limits_.blocks * cache.block_elements();
  return cache;
}

}  // namespace troupe
