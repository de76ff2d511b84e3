// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.hpp"

namespace troupe {

void rope(const execution& on, tensor x, const_tensor cosines, const_tensor sines, std::size_t head_size) {
  if (on.kind() != device_kind::cpu) throw device_error("rope");
  rope_cpu(on.cpu(), x, cosines, sines, head_size);
}

}  // namespace troupe
