// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/cuda_weights.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>

#include "kernels/cpu/worker_pool.hpp"
#include "kernels/cuda/random_fill.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

namespace {

constexpr std::size_t alignment = 256;
constexpr std::size_t slot_bytes = std::size_t{16} << 20;
constexpr std::size_t slots = 4;

std::size_t padded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Where each tensor of a shard goes: offsets in elements, given out in the order in which they are asked.
class placement {
 public:
  placement(const model_config& config, const shard& part) : config_(config), layout_(make_layout(config, part)) {}

  /// One matrix of the tensors' rows; visit(spec, slice, element offset) is called for each.
  template <class Visit>
  std::size_t join(std::initializer_list<const tensor_spec*> specs, Visit visit) {
    const auto begin = bytes_;
    auto at = begin / sizeof(bf16);
    for (const auto* spec : specs) {
      if (spec->name.empty()) continue;
      const auto slice = slice_of(*spec, config_, layout_);
      visit(*spec, slice, at);
      at += slice.elements();
    }
    bytes_ = padded(at * sizeof(bf16));
    return begin / sizeof(bf16);
  }

  std::size_t bytes() const { return bytes_; }

 private:
  const model_config& config_;
  shard_layout layout_;
  std::size_t bytes_ = 0;
};

/// Walks over a shard's matrices in the order of loading; `weights` gets their addresses, from `base`.
template <class Visit>
std::size_t place(const model_config& config, const shard& part, bf16* base, cuda_weights& weights, Visit visit) {
  placement places(config, part);
  const auto take = [&](std::initializer_list<const tensor_spec*> specs) -> bf16* {
    if ((*specs.begin())->name.empty()) return nullptr;
    const auto offset = places.join(specs, visit);
    return base == nullptr ? nullptr : base + offset;
  };
  const auto embedding = embedding_tensor(config), final_norm = final_norm_tensor(config), head = head_tensor(config);
  if (part.first_stage()) weights.embedding = take({&embedding});
  const auto layers = make_layout(config, part).layers;
  for (auto i = layers.begin; i < layers.end(); ++i) {
    const auto t = make_layer_tensors(config, i);
    cuda_layer_weights layer;
    layer.attention_norm = take({&t.attention_norm});
    layer.qkv = take({&t.q, &t.k, &t.v});
    layer.qkv_bias = take({&t.q_bias, &t.k_bias, &t.v_bias});
    layer.q_norm = take({&t.q_norm});
    layer.k_norm = take({&t.k_norm});
    layer.o = take({&t.o});
    layer.mlp_norm = take({&t.mlp_norm});
    layer.gate_up = take({&t.gate, &t.up});
    layer.down = take({&t.down});
    weights.layers.push_back(layer);
  }
  if (part.last_stage()) {
    weights.final_norm = take({&final_norm});
    const bool shared = config.tied_embeddings && part.first_stage();
    weights.head = shared ? weights.embedding : take({&head});
  }
  return places.bytes();
}

/// Brings slices to the device, each through the next free buffer of the ring.
class uploader {
 public:
  uploader(const weight_source& source, const cuda_device& device, worker_pool& pool)
      : source_(source), device_(device), pool_(pool) {}

  void put(const tensor_spec& spec, const tensor_slice& slice, bf16* to) {
    if (const auto recipe = source_.recipe(spec)) {
      random_fill_cuda(recipe->seed, slice.rows.begin * spec.columns + slice.columns.begin, spec.columns,
                       recipe->centre, recipe->spread, slice.rows.count, slice.columns.count, to, device_.stream());
      return;
    }
    const auto row_bytes = slice.columns.count * sizeof(bf16);
    const auto rows_max = std::max<std::size_t>(1, slot_bytes / row_bytes);
    for (std::size_t row = 0; row < slice.rows.count; row += rows_max) {
      auto piece = slice;
      piece.rows = {slice.rows.begin + row, std::min(rows_max, slice.rows.count - row)};
      put_piece(spec, piece, to + row * slice.columns.count);
    }
  }

  void wait() { synchronize(device_.stream()); }

 private:
  struct ring_slot {
    pinned_buffer memory;
    cuda_event copied;
    bool used = false;
  };

  void put_piece(const tensor_spec& spec, const tensor_slice& piece, bf16* to) {
    auto& slot = ring_[next_++ % slots];
    if (slot.used) slot.copied.synchronize();
    const auto bytes = piece.elements() * sizeof(bf16);
    if (slot.memory.bytes() < bytes) slot.memory = pinned_buffer(std::max(bytes, slot_bytes));
    read(spec, piece, slot.memory.as<bf16>());
    copy_to_device(to, slot.memory.data(), bytes, device_.stream());
    slot.copied.record(device_.stream());
    slot.used = true;
  }

  void read(const tensor_spec& spec, const tensor_slice& piece, bf16* to) {
    const auto rows_each = (piece.rows.count + pool_.threads() - 1) / pool_.threads();
    std::exception_ptr error;
    std::mutex mutex;
    pool_.run((piece.rows.count + rows_each - 1) / rows_each, [&](std::size_t i) {
      auto rows = piece;
      rows.rows.begin += i * rows_each;
      rows.rows.count = std::min(rows_each, piece.rows.end() - rows.rows.begin);
      try {
        source_.read(spec, rows, to + i * rows_each * piece.columns.count);
      } catch (...) {
        const std::lock_guard lock(mutex);
        error = std::current_exception();  // an item of the pool must not throw
      }
    });
    if (error) std::rethrow_exception(error);
  }

  const weight_source& source_;
  const cuda_device& device_;
  worker_pool& pool_;
  std::array<ring_slot, slots> ring_;
  std::size_t next_ = 0;
};

}  // namespace

std::uint64_t cuda_weight_bytes(const model_config& config, const shard& part) {
  cuda_weights unused;
  return place(config, part, nullptr, unused, [](const auto&, const auto&, std::size_t) {});
}

cuda_weights load_cuda_weights(const model_config& config, const shard& part, const weight_source& source,
                               const cuda_device& device, worker_pool& pool,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  cuda_weights weights;
  weights.memory = device_buffer(cuda_weight_bytes(config, part));
  uploader upload(source, device, pool);
  std::uint64_t done = 0;
  auto* base = weights.memory.as<bf16>();
  place(config, part, base, weights, [&](const tensor_spec& spec, const tensor_slice& slice, std::size_t at) {
    upload.put(spec, slice, base + at);
    done += slice.elements() * sizeof(bf16);
    if (progress) progress(std::min<std::uint64_t>(done, weights.memory.bytes()), weights.memory.bytes());
  });
  upload.wait();
  if (progress) progress(weights.memory.bytes(), weights.memory.bytes());
  return weights;
}

}  // namespace troupe
