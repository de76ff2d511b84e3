// SPDX-License-Identifier: Apache-2.0
#include "kernels/qk_norm.hpp"

namespace troupe {

void qk_norm(const execution& on, tensor x, const_tensor weight, float epsilon) {
  if (on.kind() != device_kind::cpu) throw device_error("qk_norm");
  qk_norm_cpu(on.cpu(), x, weight, epsilon);
}

}  // namespace troupe
