// SPDX-License-Identifier: Apache-2.0
#include "kernels/add.hpp"

namespace troupe {

void add(const execution& on, tensor into, const_tensor delta) {
  if (on.kind() != device_kind::cpu) throw device_error("add");
  add_cpu(on.cpu(), into, delta);
}

}  // namespace troupe
