// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/cpu/cpu_device.hpp"

namespace troupe {

namespace {

/// Some tokens of one sequence with one key/value head: what one thread does at a time.
struct attention_item {
  std::size_t sequence;
  std::size_t first_token;
  std::size_t tokens;
  std::size_t kv_head;
};

std::vector<attention_item> cut(std::span<const attention_sequence> sequences, std::size_t kv_heads) {
  constexpr std::size_t tokens_max = 32;
  std::vector<attention_item> items;
  for (std::size_t s = 0; s < sequences.size(); ++s)
    for (std::size_t first = 0; first < sequences[s].rows; first += tokens_max)
      for (std::size_t head = 0; head < kv_heads; ++head)
        items.push_back({s, first, std::min(tokens_max, sequences[s].rows - first), head});
  return items;
}

}  // namespace

void attention_cpu(const cpu_device& device, const_tensor query, std::span<const attention_sequence> sequences,
                   const kv_layer& cache, float scale, tensor out) {
  assert(query.columns % (cache.heads * cache.head_size) == 0 && cache.block_tokens % kv_tile_tokens == 0);
  const auto heads = query.columns / cache.head_size / cache.heads;
  const auto items = cut(sequences, cache.heads);
  const auto attend = cache.type == dtype::f32 ? device.kernels().attention_f32 : device.kernels().attention_bf16;
  device.pool().run(items.size(), [&](std::size_t i) {
    const auto& item = items[i];
    const auto& sequence = sequences[item.sequence];
    const auto row = sequence.first_row + item.first_token;
    const auto column = item.kv_head * heads * cache.head_size;
    const auto* keys =
        static_cast<const std::byte*>(cache.data) + item.kv_head * cache.head_elements() * size_of(cache.type);
    attend({.query = query.row<float>(row) + column,
            .query_stride = query.stride,
            .out = out.row<float>(row) + column,
            .out_stride = out.stride,
            .heads = heads,
            .head_size = cache.head_size,
            .scale = scale,
            .position = sequence.position + item.first_token,
            .tokens = item.tokens,
            .keys = keys,
            .values = keys + cache.values_offset() * size_of(cache.type),
            .block_stride = cache.block_elements(),
            .block_tokens = cache.block_tokens,
            .blocks = sequence.blocks.data()});
  });
}

}  // namespace troupe
