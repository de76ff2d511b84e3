// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// rms_norm of each head of x in place. x: f32 [tokens, heads * head_size]; weight: bf16 [1, head_size].
void qk_norm(const execution& on, tensor x, const_tensor weight, float epsilon);

void qk_norm_cpu(const cpu_device& device, tensor x, const_tensor weight, float epsilon);

}  // namespace troupe
