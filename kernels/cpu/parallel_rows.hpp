// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/cpu/cpu_device.hpp"

namespace troupe {

/// Calls body(row) for each row, in parallel when there is enough to do to pay for waking the threads.
template <class Body>
void parallel_rows(const cpu_device& device, std::size_t rows, std::size_t row_elements, Body&& body) {
  constexpr std::size_t item_elements = 16384;
  const auto rows_per_item = std::max<std::size_t>(1, item_elements / std::max<std::size_t>(1, row_elements));
  const auto items = (rows + rows_per_item - 1) / rows_per_item;
  device.pool().run(items, [&](std::size_t item) {
    const auto end = std::min(rows, (item + 1) * rows_per_item);
    for (auto row = item * rows_per_item; row < end; ++row)
      body(row);
  });
}

}  // namespace troupe
