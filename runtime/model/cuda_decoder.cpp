// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/cuda_decoder.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "kernels/cuda/embedding.hpp"
#include "kernels/cuda/few_rows.hpp"
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

/// The model as this shard sees it.
model_config config_of(model_config config, const shard_layout& layout) {
  config.heads = layout.heads.count;
  config.kv_heads = layout.kv_heads.count;
  config.intermediate_size = layout.intermediate.count;
  config.layers = layout.layers.count;
  return config;
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

cuda_decoder::buffers cuda_decoder::lay_out(std::byte* base, const model_config& whole, const shard& part,
                                            const cuda_decoder_limits& limits) {
  const auto layout = make_layout(whole, part);
  const auto config = config_of(whole, layout);
  const bool group = part.tensor_size > 1;
  const auto tokens = limits.batch_tokens, rows = part.last_stage() ? limits.logit_rows : 0;
  pieces from(base);
  buffers b;
  b.hidden = from.take<float>(tokens * config.hidden_size);
  if (group || !part.first_stage()) b.partial = from.take<float>(tokens * config.hidden_size);
  b.normed = from.take<bf16>(std::max(tokens, rows) * config.hidden_size);
  b.qkv = from.take<bf16>(tokens * qkv_columns(config));
  b.attended = from.take<bf16>(tokens * query_columns(config));
  b.gate_up = from.take<bf16>(tokens * 2 * config.intermediate_size);
  b.activated = from.take<bf16>(tokens * config.intermediate_size);
  b.logits = from.take<float>(rows * config.vocabulary_size);
  if (group) {
    b.logits_part = from.take<float>(rows * layout.vocabulary_padded);
    b.logits_gathered =
        from.take<float>(std::min(rows, cuda_tensor_link::gather_rows) * layout.vocabulary_padded * part.tensor_size);
  }
  b.frequencies = from.take<float>(config.head_size / 2);
  b.angles = from.take<float>(config.positions_max * config.head_size);
  b.attention.partial = from.take<float>(partial_elements(config));
  b.attention.arrived = from.take<std::uint32_t>(tokens * config.kv_heads);
  b.bytes = from.bytes();
  return b;
}

std::uint64_t cuda_decoder::activation_bytes(const model_config& config, const shard& part,
                                             const cuda_decoder_limits& limits) {
  return lay_out(nullptr, config, part, limits).bytes + gemm_library::workspace_bytes();
}

std::uint64_t cuda_decoder::kv_bytes(const model_config& config, const shard& part, const cuda_decoder_limits& limits) {
  const auto layout = make_layout(config, part);
  const paged_cache one{nullptr, layout.kv_heads.count, limits.block_tokens, config.head_size};
  return std::uint64_t{limits.blocks} * one.block_elements() * sizeof(bf16) * layout.layers.count;
}

cuda_decoder::cuda_decoder(const model_config& config, const shard& part, cuda_weights weights,
                           const cuda_decoder_links& links, const cuda_device& device,
                           const cuda_decoder_limits& limits)
    : part_(part),
      layout_(make_layout(config, part)),
      config_(config_of(config, layout_)),
      link_(links.tensor),
      pipeline_(links.pipeline),
      weights_(std::move(weights)),
      limits_(limits),
      multiprocessors_(std::min(device.multiprocessors(), multiprocessors_max)),
      memory_(lay_out(nullptr, config, part, limits).bytes),
      kv_memory_(kv_bytes(config, part, limits)),
      buffers_(lay_out(memory_.data(), config, part, limits)) {
  assert((part.tensor_size > 1) == (link_ != nullptr) && (part.stages > 1) == (pipeline_ != nullptr));
  // What no token has been stored in is read beside what has, and masked: it must be finite.
  clear_device(memory_.data(), memory_.bytes(), device.stream());
  clear_device(kv_memory_.data(), kv_memory_.bytes(), device.stream());
  const auto frequencies = rope_frequencies(config_);
  copy_to_device(buffers_.frequencies, frequencies.data(), frequencies.size() * sizeof(float), device.stream());
  fill_rotation_angles_cuda(buffers_.frequencies, frequencies.size(), config_.positions_max, buffers_.angles,
                            device.stream());
  synchronize(device.stream());
}

void cuda_decoder::enqueue(const cuda_batch& batch, cuda_stream stream) {
  assert(batch.tokens <= limits_.batch_tokens && batch.sampled <= limits_.logit_rows);
  if (batch.tokens == 0) return;
  const bool one_row = batch.tokens == 1;
  take_rows(batch, one_row ? nullptr : weights_.layers.front().attention_norm, stream);
  for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) {
    if (one_row)
      enqueue_row(batch, layer, stream);
    else
      enqueue_rows(batch, layer, stream);
  }
  if (!part_.last_stage())
    pipeline_->send(buffers_.hidden, batch.tokens * config_.hidden_size, pipeline_->rank() + 1, stream);
  else if (batch.sampled != 0)
    enqueue_logits(batch, stream);
}

/// From the embedding, or from the stage before.
void cuda_decoder::take_rows(const cuda_batch& batch, const bf16* norm, cuda_stream stream) {
  if (part_.first_stage()) {
    embedding_cuda(weights_.embedding, static_cast<std::int32_t>(layout_.vocabulary.begin), layout_.vocabulary.count,
                   config_.hidden_size, batch.token_ids, batch.chosen, batch.tokens,
                   link_ ? buffers_.partial : buffers_.hidden, stream);
    add_and_norm(batch, {exchange_point::kind::embedding}, norm, stream);
    return;
  }
  pipeline_->receive(buffers_.partial, batch.tokens * config_.hidden_size, pipeline_->rank() - 1, stream);
  peer_reduce_cuda({.partial = buffers_.partial,
                    .residual = buffers_.hidden,
                    .add = false,
                    .rows = batch.tokens,
                    .columns = config_.hidden_size,
                    .norm = norm,
                    .epsilon = config_.norm_epsilon,
                    .out = buffers_.normed},
                   stream);
}

void cuda_decoder::enqueue_logits(const cuda_batch& batch, cuda_stream stream) {
  if (batch.tokens == 1) {
    gemv_cuda(head_row(), stream);
  } else {
    rms_norm_cuda(buffers_.hidden, batch.sampled_row, weights_.final_norm, config_.norm_epsilon, batch.sampled,
                  config_.hidden_size, buffers_.normed, stream);
    multiply(head_product(batch.sampled), stream);
  }
  if (link_) gather_logits(batch, stream);
}

/// What the ranks' shares of a product, or of the embedding, add to the residual; then the next norm, where there is
/// one.
void cuda_decoder::add_up(const cuda_batch& batch, exchange_point point, const bf16* norm, cuda_stream stream) const {
  peer_reduce_call call;
  // A product of one row has sent its share already where it could.
  call.sent =
      point.where != exchange_point::kind::embedding && batch.tokens == 1 && link_->direct(1, config_.hidden_size);
  call.residual = buffers_.hidden;
  call.add = point.where != exchange_point::kind::embedding;
  call.rows = batch.tokens;
  call.columns = config_.hidden_size;
  call.norm = norm;
  call.epsilon = config_.norm_epsilon;
  call.out = buffers_.normed;
  if (call.add && adds_rounded(batch.tokens))
    link_->reduce(call, reinterpret_cast<bf16*>(buffers_.partial), stream);
  else
    link_->reduce(call, buffers_.partial, point, batch.pass, stream);
}

void cuda_decoder::gather_logits(const cuda_batch& batch, cuda_stream stream) const {
  link_->gather({.part = buffers_.logits_part,
                 .rows = batch.sampled,
                 .vocabulary = config_.vocabulary_size,
                 .padded = layout_.vocabulary_padded,
                 .logits = buffers_.logits},
                buffers_.logits_gathered, batch.pass, stream);
}

/// A product of one row into the residual, over all ranks.
void cuda_decoder::add_row(gemv_call call, exchange_point point, const cuda_batch& batch, cuda_stream stream) const {
  if (link_ == nullptr) {
    call.accumulated = buffers_.hidden;
    return gemv_cuda(call, stream);
  }
  call.out_f32 = buffers_.partial;
  if (link_->direct(1, config_.hidden_size))
    gemv_send_cuda(call, link_->exchange(point, batch.pass), stream);
  else
    gemv_cuda(call, stream);
  add_up(batch, point, nullptr, stream);
}

gemv_call cuda_decoder::qkv_row(std::size_t layer) const {
  const auto& w = weights_.layers[layer];
  gemv_call call{w.qkv, qkv_columns(config_), config_.hidden_size};
  call.residual = buffers_.hidden, call.norm = w.attention_norm, call.epsilon = config_.norm_epsilon;
  call.out = buffers_.qkv, call.bias = w.qkv_bias;
  return call;
}

gemv_call cuda_decoder::head_row() const {
  gemv_call call{weights_.head, layout_.vocabulary.count, config_.hidden_size};
  call.residual = buffers_.hidden, call.norm = weights_.final_norm, call.epsilon = config_.norm_epsilon;
  call.out_f32 = link_ ? buffers_.logits_part : buffers_.logits;
  return call;
}

void cuda_decoder::enqueue_row(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  gemv_call o{w.o, hidden, query_columns(config_)};
  o.x = buffers_.attended;
  gemv_call gate_up{w.gate_up, 2 * intermediate, hidden};
  gate_up.residual = buffers_.hidden, gate_up.norm = w.mlp_norm, gate_up.epsilon = config_.norm_epsilon;
  gate_up.gated = buffers_.activated;
  gemv_call down{w.down, hidden, intermediate};
  down.x = buffers_.activated;
  o.next = first_weights(gate_up);
  gate_up.next = first_weights(down);
  if (layer + 1 < weights_.layers.size())
    down.next = first_weights(qkv_row(layer + 1));
  else if (part_.last_stage())
    down.next = first_weights(head_row());
  gemv_cuda(qkv_row(layer), stream);
  attend(batch, layer, first_weights(o), stream);  // attention reads little: the weights after it come meanwhile
  add_row(o, {exchange_point::kind::attention, layer}, batch, stream);
  gemv_cuda(gate_up, stream);
  add_row(down, {exchange_point::kind::feed_forward, layer}, batch, stream);
}

void cuda_decoder::enqueue_rows(const cuda_batch& batch, std::size_t layer, cuda_stream stream) {
  const auto tokens = batch.tokens;
  multiply(qkv_product(layer, tokens), stream);
  const auto o = o_product(layer, tokens);
  attend(batch, layer, is_few(o) ? first_weights(few_rows_of(o)) : l2_prefetch{}, stream);
  multiply(o, stream);
  add_and_norm(batch, {exchange_point::kind::attention, layer}, weights_.layers[layer].mlp_norm, stream);
  multiply_gated(gate_up_product(layer, tokens), stream);
  multiply(down_product(layer, tokens), stream);
  const bool last = layer + 1 == weights_.layers.size();
  add_and_norm(batch, {exchange_point::kind::feed_forward, layer},
               last ? nullptr : weights_.layers[layer + 1].attention_norm, stream);
}

void cuda_decoder::multiply(const gemm_call& call, cuda_stream stream) {
  if (is_few(call))
    few_rows_cuda(few_rows_of(call), stream);
  else
    gemm_.run(call, stream);
}

/// The gate and up projection, and what the down projection is of.
void cuda_decoder::multiply_gated(const gemm_call& call, cuda_stream stream) {
  if (is_few(call)) {
    auto fused = few_rows_of(call);
    fused.out = nullptr;
    fused.gated = buffers_.activated;
    few_rows_cuda(fused, stream);
  } else {
    gemm_.run(call, stream);
    silu_mul_cuda(buffers_.gate_up, call.m, config_.intermediate_size, buffers_.activated, stream);
  }
}

void cuda_decoder::add_and_norm(const cuda_batch& batch, exchange_point point, const bf16* norm,
                                cuda_stream stream) const {
  if (link_)
    add_up(batch, point, norm, stream);
  else if (norm != nullptr)  // the product has added
    rms_norm_cuda(buffers_.hidden, nullptr, norm, config_.norm_epsilon, batch.tokens, config_.hidden_size,
                  buffers_.normed, stream);
}

gemm_call cuda_decoder::qkv_product(std::size_t layer, std::size_t tokens) const {
  return {.x = buffers_.normed,
          .weight = weights_.layers[layer].qkv,
          .bias = weights_.layers[layer].qkv_bias,
          .out = buffers_.qkv,
          .out_type = dtype::bf16,
          .m = tokens,
          .n = qkv_columns(config_),
          .k = config_.hidden_size};
}

gemm_call cuda_decoder::o_product(std::size_t layer, std::size_t tokens) const {
  return {.x = buffers_.attended,
          .weight = weights_.layers[layer].o,
          .out = link_ ? buffers_.partial : buffers_.hidden,
          .out_type = adds_rounded(tokens) ? dtype::bf16 : dtype::f32,
          .accumulate = link_ == nullptr,
          .m = tokens,
          .n = config_.hidden_size,
          .k = query_columns(config_)};
}

gemm_call cuda_decoder::gate_up_product(std::size_t layer, std::size_t tokens) const {
  return {.x = buffers_.normed,
          .weight = weights_.layers[layer].gate_up,
          .out = buffers_.gate_up,
          .out_type = dtype::bf16,
          .m = tokens,
          .n = 2 * config_.intermediate_size,
          .k = config_.hidden_size};
}

gemm_call cuda_decoder::down_product(std::size_t layer, std::size_t tokens) const {
  return {.x = buffers_.activated,
          .weight = weights_.layers[layer].down,
          .out = link_ ? buffers_.partial : buffers_.hidden,
          .out_type = adds_rounded(tokens) ? dtype::bf16 : dtype::f32,
          .accumulate = link_ == nullptr,
          .m = tokens,
          .n = config_.hidden_size,
          .k = config_.intermediate_size};
}

gemm_call cuda_decoder::head_product(std::size_t rows) const {
  return {.x = buffers_.normed,
          .weight = weights_.head,
          .out = link_ ? buffers_.logits_part : buffers_.logits,
          .out_type = dtype::f32,
          .m = rows,
          .n = layout_.vocabulary.count,
          .k = config_.hidden_size};
}

void cuda_decoder::tune(cuda_stream stream) {
  for (std::size_t tokens = 2 * few_rows_max; tokens < 2 * limits_.batch_tokens; tokens *= 2) {
    const auto m = std::min(tokens, limits_.batch_tokens);
    for (const auto& call : {qkv_product(0, m), o_product(0, m), gate_up_product(0, m), down_product(0, m)})
      gemm_.tune(call, stream);
    // Fewer rows of the same bucket may be exchanged as they are, and more of them rounded.
    auto fewer = m;
    while (adds_rounded(fewer) && fewer > tokens / 2)
      --fewer;
    if (fewer < m && fewer > tokens / 2)
      for (const auto& call : {o_product(0, fewer), down_product(0, fewer)})
        gemm_.tune(call, stream);
    if (!part_.last_stage()) continue;
    if (const auto head = head_product(std::min(m, limits_.logit_rows)); !is_few(head)) gemm_.tune(head, stream);
  }
}

void cuda_decoder::attend(const cuda_batch& batch, std::size_t layer, const l2_prefetch& next, cuda_stream stream) {
  const auto& w = weights_.layers[layer];
  const auto cache = cache_of(layer);
  const head_rotation rotation{w.q_norm, w.k_norm, config_.norm_epsilon, buffers_.angles};
  const auto singles = batch.single_sequences;
  qk_rope_append_cuda({.qkv = buffers_.qkv + singles * qkv_columns(config_),
                       .tokens = batch.tokens - singles,
                       .heads = config_.heads,
                       .rotation = rotation,
                       .positions = batch.positions + singles,
                       .slots = batch.slots + singles,
                       .cache = cache},
                      stream);
  const paged_attention_call call{.query = buffers_.qkv,
                                  .query_stride = qkv_columns(config_),
                                  .out = buffers_.attended,
                                  .heads = config_.heads,
                                  .cache = cache,
                                  .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_size)),
                                  .first_row = batch.first_row,
                                  .rows = batch.rows,
                                  .kv_tokens = batch.kv_tokens,
                                  .table_start = batch.table_start,
                                  .table = batch.table,
                                  .next = next};
  decode_attention_cuda(call, rotation, singles, decode_parts(singles, config_.kv_heads, multiprocessors_),
                        buffers_.attention, stream);
  prefill_attention_cuda(call, batch.tile, batch.tiles, stream);
}

paged_cache cuda_decoder::cache_of(std::size_t layer) const {
  paged_cache cache{nullptr, config_.kv_heads, limits_.block_tokens, config_.head_size};
  cache.data = kv_memory_.as<bf16>() + layer * limits_.blocks * cache.block_elements();
  return cache;
}

}  // namespace troupe
