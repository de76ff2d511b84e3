// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/silu_mul.hpp"

namespace troupe {

void silu_mul_cpu(const cpu_device& device, const_tensor gate, const_tensor up, tensor out) {
  assert(gate.rows == up.rows && gate.rows == out.rows && gate.columns == up.columns && gate.columns == out.columns);
  parallel_rows(device, gate.rows, gate.columns, [&](std::size_t i) {
    device.kernels().silu_mul(gate.row<float>(i), up.row<float>(i), out.row<float>(i), gate.columns);
  });
}

}  // namespace troupe
