// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/rope.hpp"

namespace troupe {

void rope_cpu(const cpu_device& device, tensor x, const_tensor cosines, const_tensor sines, std::size_t head_size) {
  assert(x.rows == cosines.rows && x.rows == sines.rows && x.columns % head_size == 0 && head_size % 2 == 0);
  parallel_rows(device, x.rows, x.columns, [&](std::size_t i) {
    for (std::size_t column = 0; column < x.columns; column += head_size)
      device.kernels().rope(x.row<float>(i) + column, cosines.row<float>(i), sines.row<float>(i), head_size);
  });
}

}  // namespace troupe
