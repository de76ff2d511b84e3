// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/rms_norm.hpp"

namespace troupe {

void rms_norm_cpu(const cpu_device& device, const_tensor x, const_tensor weight, float epsilon, tensor out) {
  assert(x.rows == out.rows && x.columns == out.columns && weight.columns == x.columns);
  parallel_rows(device, x.rows, x.columns, [&](std::size_t i) {
    device.kernels().rms_norm(x.row<float>(i), weight.row<bf16>(0), epsilon, x.columns, out.row<float>(i));
  });
}

void add_rms_norm_cpu(const cpu_device& device, tensor residual, const_tensor delta, const_tensor weight, float epsilon,
                      tensor out) {
  assert(residual.rows == delta.rows && residual.rows == out.rows && residual.columns == delta.columns);
  parallel_rows(device, residual.rows, residual.columns, [&](std::size_t i) {
    auto* row = residual.row<float>(i);
    device.kernels().add(row, delta.row<float>(i), residual.columns);
    device.kernels().rms_norm(row, weight.row<bf16>(0), epsilon, residual.columns, out.row<float>(i));
  });
}

}  // namespace troupe
