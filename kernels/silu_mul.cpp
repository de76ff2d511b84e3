// SPDX-License-Identifier: Apache-2.0
#include "kernels/silu_mul.hpp"

namespace troupe {

void silu_mul(const execution& on, const_tensor gate, const_tensor up, tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("silu_mul");
  silu_mul_cpu(on.cpu(), gate, up, out);
}

}  // namespace troupe
