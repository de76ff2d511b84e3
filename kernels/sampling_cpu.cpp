// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/cpu_device.hpp"
#include "kernels/sampling.hpp"

namespace troupe {

// Rows are sampled in parallel, so each of these stays on its thread.

std::size_t arg_max_cpu(const cpu_device& device, const_tensor row) {
  return device.kernels().arg_max(row.row<float>(0), row.columns);
}

void exponentials_cpu(const cpu_device& device, const_tensor row, float shift, float scale, tensor out) {
  assert(row.columns == out.columns);
  device.kernels().exponentials(row.row<float>(0), shift, scale, out.row<float>(0), row.columns);
}

}  // namespace troupe
