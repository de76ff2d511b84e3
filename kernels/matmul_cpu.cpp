// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu_device.hpp"
#include "kernels/matmul.hpp"

namespace troupe {

namespace {

/// A run of weight rows of one part: what one thread does at a time.
struct matmul_item {
  std::size_t part;
  std::size_t begin;
  std::size_t end;
};

/// Few enough rows that a piece of their sums stays in the second-level cache, enough runs that threads end together.
std::vector<matmul_item> cut(std::span<const matmul_part> parts, std::size_t threads) {
  constexpr std::size_t rows_max = 256;
  constexpr std::size_t rows_min = 16;
  std::size_t rows = 0;
  for (const auto& part : parts)
    rows += part.weight.rows;
  const auto wanted = std::clamp(rows / (threads * 6) / 8 * 8, rows_min, rows_max);
  std::vector<matmul_item> items;
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (std::size_t begin = 0; begin < parts[p].weight.rows; begin += wanted)
      items.push_back({p, begin, std::min(parts[p].weight.rows, begin + wanted)});
  return items;
}

matmul_call make_call(const_tensor x, const matmul_part& part, const void* packed) {
  assert(part.weight.columns == x.columns && part.out.rows >= x.rows && part.out.columns == part.weight.rows);
  return {x.row<float>(0),
          x.stride,
          x.rows,
          x.columns,
          part.weight.row<bf16>(0),
          part.weight.stride,
          part.bias.empty() ? nullptr : part.bias.row<bf16>(0),
          part.out.row<float>(0),
          part.out.stride,
          packed};
}

/// x in the form that the kernels want; null where they take it as it is.
const void* pack(const cpu_device& device, const_tensor x, const matmul_part& any_part) {
  const auto& kernels = device.kernels();
  if (kernels.pack_group == nullptr) return nullptr;
  auto* packed = device.scratch(kernels.packed_bytes(x.rows, x.columns));
  const auto call = make_call(x, any_part, nullptr);
  device.pool().run((x.rows + 15) / 16, [&](std::size_t group) { kernels.pack_group(call, group, packed); });
  return packed;
}

}  // namespace

void matmul_cpu(const cpu_device& device, const_tensor x, std::span<const matmul_part> parts) {
  if (x.rows == 0 || parts.empty()) return;
  const auto* packed = pack(device, x, parts.front());
  const auto items = cut(parts, device.pool().threads());
  device.pool().run(items.size(), [&](std::size_t i) {
    device.kernels().matmul(make_call(x, parts[items[i].part], packed), items[i].begin, items[i].end);
  });
}

}  // namespace troupe
