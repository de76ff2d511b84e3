// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm.hpp"

namespace troupe {

void rms_norm(const execution& on, const_tensor x, const_tensor weight, float epsilon, tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("rms_norm");
  rms_norm_cpu(on.cpu(), x, weight, epsilon, out);
}

void add_rms_norm(const execution& on, tensor residual, const_tensor delta, const_tensor weight, float epsilon,
                  tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("add_rms_norm");
  add_rms_norm_cpu(on.cpu(), residual, delta, weight, epsilon, out);
}

}  // namespace troupe
