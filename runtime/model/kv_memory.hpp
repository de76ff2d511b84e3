// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "kernels/host_buffer.hpp"
#include "kernels/kv_cache.hpp"

namespace troupe {

/// The KV cache of one rank: for each of its layers the same number of blocks. The bytes of a block of a layer lie
/// together, so that a block is copied between ranks as they are.
class kv_memory {
 public:
  kv_memory() = default;
  /// `one_layer` gives the shape; its data is ignored. Throws std::bad_alloc.
  kv_memory(const kv_layer& one_layer, std::size_t layers)
      : shape_(one_layer),
        layer_bytes_(one_layer.blocks * one_layer.block_elements() * size_of(one_layer.type)),
        memory_(layer_bytes_ * layers) {}

  const host_buffer& memory() const { return memory_; }

  kv_layer layer(std::size_t index) const {
    auto view = shape_;
    view.data = memory_.data() + index * layer_bytes_;
    return view;
  }

  std::span<std::byte> block(std::size_t layer_index, std::size_t block_index) const {
    const auto bytes = shape_.block_elements() * size_of(shape_.type);
    return {memory_.data() + layer_index * layer_bytes_ + block_index * bytes, bytes};
  }

 private:
  kv_layer shape_;
  std::size_t layer_bytes_ = 0;
  host_buffer memory_;
};

}  // namespace troupe
