// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/qk_norm.hpp"

namespace troupe {

void qk_norm_cpu(const cpu_device& device, tensor x, const_tensor weight, float epsilon) {
  const auto head_size = weight.columns;
  assert(x.columns % head_size == 0);
  parallel_rows(device, x.rows, x.columns, [&](std::size_t i) {
    for (std::size_t column = 0; column < x.columns; column += head_size) {
      auto* head = x.row<float>(i) + column;
      device.kernels().rms_norm(head, weight.row<bf16>(0), epsilon, head_size, head);
    }
  });
}

}  // namespace troupe
