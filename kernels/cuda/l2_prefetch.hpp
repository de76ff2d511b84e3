// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/dtype.hpp"

namespace troupe {

/// What the next kernel will read first, to be brought into the second-level cache while this one ends: the memory is
/// then busy across the border between two kernels. Two stretches of `bytes` each, from addresses that are multiples of
/// 16; `second` may be null.
struct l2_prefetch {
  const void* first = nullptr;
  const void* second = nullptr;
  std::uint32_t bytes = 0;  ///< a multiple of 16
};

/// About what the memory brings while a kernel ends and the next begins.
inline constexpr std::uint32_t l2_prefetch_bytes = std::uint32_t{16} << 20;

/// The beginning of so many elements, or all there are.
inline l2_prefetch first_weights(const bf16* weight, std::size_t elements) {
  const auto bytes = std::min<std::size_t>(elements * sizeof(bf16), l2_prefetch_bytes);
  return {weight, nullptr, static_cast<std::uint32_t>(bytes)};
}

}  // namespace troupe
