// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.hpp"
#include "kernels/cpu/parallel_rows.hpp"

namespace troupe {

void add_cpu(const cpu_device& device, tensor into, const_tensor delta) {
  assert(into.rows == delta.rows && into.columns == delta.columns);
  parallel_rows(device, into.rows, into.columns,
                [&](std::size_t i) { device.kernels().add(into.row<float>(i), delta.row<float>(i), into.columns); });
}

}  // namespace troupe
