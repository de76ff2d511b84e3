// SPDX-License-Identifier: Apache-2.0
#include "kernels/sampling.hpp"

namespace troupe {

std::size_t arg_max(const execution& on, const_tensor row) {
  if (on.kind() != device_kind::cpu) throw device_error("arg_max");
  return arg_max_cpu(on.cpu(), row);
}

void exponentials(const execution& on, const_tensor row, float shift, float scale, tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("exponentials");
  exponentials_cpu(on.cpu(), row, shift, scale, out);
}

}  // namespace troupe
