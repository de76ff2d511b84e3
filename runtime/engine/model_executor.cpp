// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/model_executor.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "runtime/engine/engine_error.hpp"
#include "runtime/engine/sampler.hpp"
#include "runtime/model/errors.hpp"
#include "runtime/model/memory_plan.hpp"

namespace troupe {

namespace {

/// Takes all of the memory now: a step must not wait for the system to clear pages, nor find that there are none.
void populate(const host_buffer& memory, worker_pool& pool) {
  constexpr std::size_t piece = std::size_t{64} << 20;
  pool.run((memory.bytes() + piece - 1) / piece,
           [&](std::size_t i) { populate(memory, i * piece, std::min(piece, memory.bytes() - i * piece)); });
}

}  // namespace

model_executor::model_executor(model source, const shard& part, group_communicators links, engine_options options)
    : model_(std::move(source)), part_(part), options_(std::move(options)), links_(std::move(links)) {
  if (auto error = find_error(model_.config, part_); !error.empty()) throw config_error(error);
  check_options();
  device_ = std::make_unique<cpu_device>(options_.threads, choose_isa(options_.isa));
  assert(part_.tensor_size == 1 || (links_.tensor && links_.tensor->size() == static_cast<int>(part_.tensor_size)));
  assert(part_.stages == 1 || (links_.pipeline && links_.pipeline->size() == static_cast<int>(part_.stages)));
}

model_executor::~model_executor() = default;

void model_executor::check_options() const {
  if (options_.threads < 1 || options_.threads > 1024)
    throw config_error(fmt::format("threads is {} and must be from 1 to 1024", options_.threads));
  if (options_.block_tokens == 0 || options_.block_tokens % kv_tile_tokens != 0 || options_.block_tokens > 4096)
    throw config_error(fmt::format("block_tokens is {} and must be a multiple of {} up to 4096", options_.block_tokens,
                                   kv_tile_tokens));
  if (options_.batch_tokens_max == 0 || options_.batch_tokens_max > (1U << 20))
    throw config_error(
        fmt::format("batch_tokens_max is {} and must be from 1 to {}", options_.batch_tokens_max, 1U << 20));
  const auto plan =
      plan_memory(model_.config, part_, options_.block_tokens, options_.batch_tokens_max, options_.kv_type);
  constexpr std::uint32_t blocks_max = 1U << 24;
  if (options_.kv_blocks > blocks_max)
    throw config_error(fmt::format("kv_blocks is {} and must be at most {}", options_.kv_blocks, blocks_max));
  if (options_.kv_blocks == 0 && plan.blocks_in(options_.kv_bytes) == 0)
    throw config_error(fmt::format("the KV cache of {} bytes is too small: one block of {} tokens takes {} bytes",
                                   options_.kv_bytes, options_.block_tokens, plan.kv_bytes_per_block));
}

load_report model_executor::load(const load_progress& progress) {
  const auto layout = make_layout(model_.config, part_);
  const auto plan =
      plan_memory(model_.config, part_, options_.block_tokens, options_.batch_tokens_max, options_.kv_type);
  if (!weights_) weights_ = load_weights(model_.config, part_, model_.weights, device_->pool(), progress);
  kv_layer one_layer;
  one_layer.type = options_.kv_type;
  one_layer.blocks = options_.kv_blocks != 0 ? options_.kv_blocks
                                             : std::min<std::uint64_t>(plan.blocks_in(options_.kv_bytes), 1U << 24);
  one_layer.block_tokens = options_.block_tokens;
  one_layer.heads = layout.kv_heads.count;
  one_layer.head_size = model_.config.head_size;
  cache_ = kv_memory(one_layer, layout.layers.count);
  populate(cache_.memory(), device_->pool());
  sequences_.emplace(sequence_limits{model_.config.vocabulary_size, model_.config.positions_max, options_.block_tokens,
                                     one_layer.blocks, options_.batch_tokens_max, part_.stages == 1});
  decoder_.emplace(model_.config, part_, weights_, group_links{links_.tensor.get(), links_.pipeline.get()},
                   options_.batch_tokens_max);
  if (samples() && part_.tensor_size > 1)
    gathered_ = host_buffer(activations::logit_rows * model_.config.vocabulary_size * sizeof(float));
  return {plan.weight_bytes, plan.kv_bytes_per_block * one_layer.blocks, static_cast<std::uint32_t>(one_layer.blocks),
          static_cast<std::uint32_t>(options_.block_tokens)};
}

step_result model_executor::compute(const step_plan& plan) {
  assert(decoder_ && "load comes before run");
  const auto start = std::chrono::steady_clock::now();
  if (stop_.load()) throw collective_error("the executor was aborted");
  const auto& entries = sequences_->apply(plan);
  fill_batch(entries);
  decoder_->forward(execution(*device_), batch_, cache_, stop_, options_.progress.get());
  step_result result{plan.epoch, plan.step, {}, 0};
  if (part_.last_stage()) {
    result.sampled = sample(entries);
    if (part_.stages == 1) share_sampled(entries, result.sampled);
  }
  const auto busy = std::chrono::steady_clock::now() - start;
  result.busy_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(busy).count());
  return result;
}

void model_executor::abort() noexcept {
  stop_.store(true);
  if (links_.tensor) links_.tensor->abort();
  if (links_.pipeline) links_.pipeline->abort();
}

void model_executor::fill_batch(const std::vector<applied_entry>& entries) {
  batch_.tokens.clear();
  batch_.positions.clear();
  batch_.slots.clear();
  batch_.sequences.clear();
  for (const auto& entry : entries) {
    const auto& sequence = *entry.sequence;
    batch_.sequences.push_back({batch_.tokens.size(), entry.tokens, entry.position, sequence.blocks});
    for (std::size_t position = entry.position; position < entry.position + entry.tokens; ++position) {
      const auto block = sequence.blocks[position / options_.block_tokens];
      batch_.tokens.push_back(sequence.tokens[position]);
      batch_.positions.push_back(static_cast<std::uint32_t>(position));
      batch_.slots.push_back(std::int64_t{block} * static_cast<std::int64_t>(options_.block_tokens) +
                             static_cast<std::int64_t>(position % options_.block_tokens));
    }
  }
}

std::vector<sampled_token> model_executor::sample(const std::vector<applied_entry>& entries) {
  std::vector<const engine_sequence*> sequences;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].sample) continue;
    sequences.push_back(entries[i].sequence);
    rows.push_back(batch_.sequences[i].first_row + entries[i].tokens - 1);
  }
  const execution on(*device_);
  std::vector<sampled_token> sampled(samples() ? rows.size() : 0);
  std::vector<std::exception_ptr> errors(sampled.size());
  for (std::size_t first = 0; first < rows.size(); first += activations::logit_rows) {
    const auto count = std::min(activations::logit_rows, rows.size() - first);
    const auto logits = gather_logits(decoder_->logits(on, std::span(rows).subspan(first, count)));
    if (!samples()) continue;
    device_->pool().run(count, [&](std::size_t i) {
      const auto& sequence = *sequences[first + i];
      const std::span all(sequence.tokens);
      const auto prompt = std::min<std::size_t>(sequence.prompt_tokens, all.size());
      try {
        sampled[first + i] =
            choose_token(on, {logits.row<float>(i), logits.columns}, sequence.sampling, all.first(prompt),
                         all.subspan(prompt), static_cast<std::uint32_t>(all.size()));
      } catch (...) {
        errors[first + i] = std::current_exception();  // an item of the pool must not throw
      }
      sampled[first + i].sequence = sequence.id;
    });
  }
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
  return sampled;
}

tensor model_executor::gather_logits(tensor mine) {
  if (part_.tensor_size == 1) return mine;
  // Rows travel with their padding, so that every rank sends whole rows of one width.
  const auto width = mine.stride;
  const std::span<float> flat(mine.row<float>(0), mine.rows * width);
  if (!samples()) {
    links_.tensor->send(std::as_bytes(flat), 0);
    return mine;
  }
  const auto vocabulary = model_.config.vocabulary_size;
  const tensor all(gathered_.as<float>(), mine.rows, vocabulary);
  for (std::size_t rank = 0; rank < part_.tensor_size; ++rank) {
    if (rank > 0) links_.tensor->receive(std::as_writable_bytes(flat), static_cast<int>(rank));
    const auto begin = std::min(vocabulary, rank * width);
    const auto count = std::min(width, vocabulary - begin);
    for (std::size_t i = 0; i < mine.rows; ++i)
      std::memcpy(all.row<float>(i) + begin, flat.data() + i * width, count * sizeof(float));
  }
  return all;
}

void model_executor::share_sampled(const std::vector<applied_entry>& entries,
                                   const std::vector<sampled_token>& sampled) {
  std::vector<token_id> ids;
  for (const auto& token : sampled)
    ids.push_back(token.token);
  ids.resize(
      static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](const auto& x) { return x.sample; })));
  if (part_.tensor_size > 1 && !ids.empty()) links_.tensor->broadcast(std::as_writable_bytes(std::span(ids)), 0);
  auto id = ids.begin();
  for (const auto& entry : entries)
    if (entry.sample) entry.sequence->sampled = *id++;
}

}  // namespace troupe
