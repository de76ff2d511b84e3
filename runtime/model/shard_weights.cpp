// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/shard_weights.hpp"

#include <algorithm>

#include <sys/mman.h>

#include "kernels/cpu/worker_pool.hpp"
#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

namespace {

/// Each copied tensor starts on a cache line.
constexpr std::size_t alignment = 64;

std::size_t padded_bytes(const tensor_slice& slice) {
  return (slice.elements() * sizeof(bf16) + alignment - 1) / alignment * alignment;
}

/// Brings mapped pages into memory now, so that the first request does not wait for the disk. Best effort.
void fault_in(const bf16* data, std::size_t elements) {
  constexpr std::uintptr_t page = 4096;
  const auto begin = reinterpret_cast<std::uintptr_t>(data) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(data + elements);
  constexpr int populate_read = 22;  // MADV_POPULATE_READ of Linux 5.14; older systems refuse it
  madvise(reinterpret_cast<void*>(begin), end - begin, populate_read);
}

class loader {
 public:
  loader(const model_config& config, const shard& part, std::shared_ptr<const weight_source> source, worker_pool& pool,
         const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : config_(config), part_(part), layout_(make_layout(config, part)), pool_(pool), progress_(progress) {
    weights_->source = std::move(source);
  }

  std::shared_ptr<const shard_weights> load() {
    weights_->memory = host_buffer(copied_bytes());
    if (part_.first_stage()) weights_->embedding = take(embedding_tensor(config_));
    for (auto layer = layout_.layers.begin; layer < layout_.layers.end(); ++layer)
      weights_->layers.push_back(take_layer(make_layer_tensors(config_, layer)));
    if (part_.last_stage()) {
      weights_->final_norm = take(final_norm_tensor(config_));
      const bool shared = config_.tied_embeddings && part_.first_stage();
      weights_->head = shared ? weights_->embedding : take(head_tensor(config_));
    }
    return weights_;
  }

 private:
  std::size_t copied_bytes() {
    std::size_t bytes = 0;
    for (const auto& spec : shard_tensors(config_, part_)) {
      const auto slice = slice_of(spec, config_, layout_);
      total_bytes_ += slice.elements() * sizeof(bf16);
      if (weights_->source->find(spec, slice) == nullptr) bytes += padded_bytes(slice);
    }
    return bytes;
  }

  layer_weights take_layer(const layer_tensors& tensors) {
    return {take(tensors.attention_norm),
            take(tensors.q),
            take(tensors.k),
            take(tensors.v),
            take(tensors.q_bias),
            take(tensors.k_bias),
            take(tensors.v_bias),
            take(tensors.q_norm),
            take(tensors.k_norm),
            take(tensors.o),
            take(tensors.mlp_norm),
            take(tensors.gate),
            take(tensors.up),
            take(tensors.down)};
  }

  const_tensor take(const tensor_spec& spec) {
    if (spec.name.empty()) return {};
    const auto slice = slice_of(spec, config_, layout_);
    const auto* data = weights_->source->find(spec, slice);
    if (data != nullptr)
      fault_in(data, slice.elements());
    else
      data = copy(spec, slice);
    weights_->bytes += slice.elements() * sizeof(bf16);
    if (progress_) progress_(weights_->bytes, total_bytes_);
    return {data, slice.rows.count, slice.columns.count};
  }

  const bf16* copy(const tensor_spec& spec, const tensor_slice& slice) {
    auto* to = reinterpret_cast<bf16*>(weights_->memory.data() + used_bytes_);
    used_bytes_ += padded_bytes(slice);
    constexpr std::size_t item_elements = 1U << 19;
    const auto rows_per_item = std::max<std::size_t>(1, item_elements / std::max<std::size_t>(1, slice.columns.count));
    pool_.run((slice.rows.count + rows_per_item - 1) / rows_per_item, [&](std::size_t item) {
      auto rows = slice;
      rows.rows.begin += item * rows_per_item;
      rows.rows.count = std::min(rows_per_item, slice.rows.end() - rows.rows.begin);
      weights_->source->read(spec, rows, to + item * rows_per_item * slice.columns.count);
    });
    return to;
  }

  const model_config& config_;
  shard part_;
  shard_layout layout_;
  worker_pool& pool_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  std::shared_ptr<shard_weights> weights_ = std::make_shared<shard_weights>();
  std::uint64_t total_bytes_ = 0;
  std::size_t used_bytes_ = 0;
};

}  // namespace

std::shared_ptr<const shard_weights> load_weights(const model_config& config, const shard& part,
                                                  std::shared_ptr<const weight_source> source, worker_pool& pool,
                                                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  return loader(config, part, std::move(source), pool, progress).load();
}

}  // namespace troupe
