// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// What the next kernel will read first, to be brought into the second-level cache while this one ends: the memory is
/// then busy across the border between two kernels. Two stretches of `bytes` each, from addresses that are multiples of
/// 16; `second` may be null.
struct l2_prefetch {
  const void* first = nullptr;
  const void* second = nullptr;
  std::uint32_t bytes = 0;  ///< a multiple of 16
};

}  // namespace troupe
