// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul.hpp"

namespace troupe {

void matmul(const execution& on, const_tensor x, std::span<const matmul_part> parts) {
  if (on.kind() != device_kind::cpu) throw device_error("matmul");
  matmul_cpu(on.cpu(), x, parts);
}

}  // namespace troupe
