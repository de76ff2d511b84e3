// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// into += delta. Both f32 of one shape.
void add(const execution& on, tensor into, const_tensor delta);

void add_cpu(const cpu_device& device, tensor into, const_tensor delta);

}  // namespace troupe
