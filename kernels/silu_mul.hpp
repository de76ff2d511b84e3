// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// out = silu(gate) * up, element by element. All f32 [rows, size]; out may be gate.
void silu_mul(const execution& on, const_tensor gate, const_tensor up, tensor out);

void silu_mul_cpu(const cpu_device& device, const_tensor gate, const_tensor up, tensor out);

}  // namespace troupe
