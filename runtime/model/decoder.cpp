// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/decoder.hpp"

#include <cassert>
#include <cmath>

#include "kernels/add.hpp"
#include "kernels/embedding.hpp"
#include "kernels/kv_write.hpp"
#include "kernels/matmul.hpp"
#include "kernels/qk_norm.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rope.hpp"
#include "kernels/silu_mul.hpp"
#include "runtime/model/rope_angles.hpp"

namespace troupe {

namespace {

/// A tensor whose rows follow each other without a gap, as the collectives want it.
std::span<float> flat(tensor x) {
  assert(x.stride == x.columns);
  return {x.row<float>(0), x.rows * x.columns};
}

}  // namespace

decoder::decoder(const model_config& config, const shard& part, std::shared_ptr<const shard_weights> weights,
                 group_links links, std::size_t batch_tokens)
    : config_(config),
      part_(part),
      layout_(make_layout(config, part)),
      weights_(std::move(weights)),
      links_(links),
      rope_frequencies_(rope_frequencies(config)),
      buffers_(config, layout_, batch_tokens) {}

void decoder::forward(const execution& on, const decoder_batch& batch, const kv_memory& cache,
                      const std::atomic<bool>& stop, progress_counter* progress) {
  const auto tokens = batch.tokens.size();
  if (tokens == 0) return;
  const auto hidden = buffers_.hidden.first_rows(tokens);
  const auto normed = buffers_.normed.first_rows(tokens);
  const auto delta = buffers_.delta.first_rows(tokens);
  take_rows(on, batch, hidden);
  fill_rope_angles(rope_frequencies_, batch.positions, buffers_.cosines, buffers_.sines);
  for (std::size_t i = 0; i < weights_->layers.size(); ++i) {
    if (stop.load(std::memory_order_relaxed)) throw collective_error("the step was aborted");
    const auto& layer = weights_->layers[i];
    rms_norm(on, hidden, layer.attention_norm, config_.norm_epsilon, normed);
    attend(on, layer, batch, cache.layer(i));
    add_rms_norm(on, hidden, delta, layer.mlp_norm, config_.norm_epsilon, normed);
    feed_forward(on, layer, tokens);
    add(on, hidden, delta);
    if (progress) progress->advance();
  }
  if (!part_.last_stage()) links_.pipeline->send(std::as_bytes(flat(hidden)), links_.pipeline->rank() + 1);
}

void decoder::take_rows(const execution& on, const decoder_batch& batch, tensor hidden) {
  if (part_.first_stage()) {
    embedding(on, weights_->embedding, static_cast<std::int32_t>(layout_.vocabulary.begin), batch.tokens, hidden);
    reduce(hidden);
  } else {
    links_.pipeline->receive(std::as_writable_bytes(flat(hidden)), links_.pipeline->rank() - 1);
  }
}

void decoder::attend(const execution& on, const layer_weights& layer, const decoder_batch& batch,
                     const kv_layer& cache) {
  const auto tokens = batch.tokens.size();
  const auto query = buffers_.query.first_rows(tokens);
  const auto key = buffers_.key.first_rows(tokens);
  const auto value = buffers_.value.first_rows(tokens);
  const auto attended = buffers_.attended.first_rows(tokens);
  const auto delta = buffers_.delta.first_rows(tokens);
  const auto cosines = buffers_.cosines.first_rows(tokens);
  const auto sines = buffers_.sines.first_rows(tokens);
  const matmul_part qkv[] = {
      {layer.q, layer.q_bias, query}, {layer.k, layer.k_bias, key}, {layer.v, layer.v_bias, value}};
  matmul(on, buffers_.normed.first_rows(tokens), qkv);
  if (config_.has_qk_norm()) {
    qk_norm(on, query, layer.q_norm, config_.norm_epsilon);
    qk_norm(on, key, layer.k_norm, config_.norm_epsilon);
  }
  rope(on, query, cosines, sines, config_.head_size);
  rope(on, key, cosines, sines, config_.head_size);
  kv_write(on, key, value, batch.slots, cache);
  attention(on, query, batch.sequences, cache, 1.0F / std::sqrt(static_cast<float>(config_.head_size)), attended);
  const matmul_part out[] = {{layer.o, {}, delta}};
  matmul(on, attended, out);
  reduce(delta);
}

void decoder::feed_forward(const execution& on, const layer_weights& layer, std::size_t tokens) {
  const auto gate = buffers_.gate.first_rows(tokens);
  const auto up = buffers_.up.first_rows(tokens);
  const auto delta = buffers_.delta.first_rows(tokens);
  const matmul_part gate_up[] = {{layer.gate, {}, gate}, {layer.up, {}, up}};
  matmul(on, buffers_.normed.first_rows(tokens), gate_up);
  silu_mul(on, gate, up, gate);
  const matmul_part down[] = {{layer.down, {}, delta}};
  matmul(on, gate, down);
  reduce(delta);
}

void decoder::reduce(tensor partial) {
  if (part_.tensor_size > 1) links_.tensor->all_reduce_sum(flat(partial));
}

tensor decoder::logits(const execution& on, std::span<const std::size_t> rows) {
  assert(part_.last_stage() && rows.size() <= activations::logit_rows);
  const auto last = buffers_.last.first_rows(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    rms_norm(on, buffers_.hidden.row_range(rows[i], 1), weights_->final_norm, config_.norm_epsilon,
             last.row_range(i, 1));
  const auto result = buffers_.logits.first_rows(rows.size()).column_range(0, layout_.vocabulary.count);
  const matmul_part head[] = {{weights_->head, {}, result}};
  if (layout_.vocabulary.count > 0) matmul(on, last, head);
  return result;
}

}  // namespace troupe
