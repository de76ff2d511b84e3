// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/kv_write.hpp"

namespace troupe {

namespace {

void store(float x, float& to) { to = x; }
void store(float x, bf16& to) { to = to_bf16(x); }

template <class Element>
void write_token(const float* keys, const float* values, std::size_t slot, const kv_layer& cache) {
  const auto offset = slot % cache.block_tokens;
  auto* block = static_cast<Element*>(cache.data) + slot / cache.block_tokens * cache.block_elements();
  for (std::size_t head = 0; head < cache.heads; ++head) {
    auto* to_key = block + head * cache.head_elements() + offset / kv_tile_tokens * kv_tile_tokens * cache.head_size +
                   offset % kv_tile_tokens;
    auto* to_value = block + cache.values_offset() + head * cache.head_elements() + offset * cache.head_size;
    for (std::size_t d = 0; d < cache.head_size; ++d) {
      store(keys[head * cache.head_size + d], to_key[d * kv_tile_tokens]);
      store(values[head * cache.head_size + d], to_value[d]);
    }
  }
}

}  // namespace

void kv_write_cpu(const cpu_device& device, const_tensor keys, const_tensor values, std::span<const std::int64_t> slots,
                  const kv_layer& cache) {
  assert(keys.columns == cache.heads * cache.head_size && keys.rows == slots.size() && values.rows == slots.size());
  const auto write = cache.type == dtype::f32 ? write_token<float> : write_token<bf16>;
  parallel_rows(device, keys.rows, keys.columns, [&](std::size_t i) {
    assert(slots[i] >= 0 && static_cast<std::size_t>(slots[i]) < cache.blocks * cache.block_tokens);
    write(keys.row<float>(i), values.row<float>(i), static_cast<std::size_t>(slots[i]), cache);
  });
}

}  // namespace troupe
