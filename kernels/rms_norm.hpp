// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// out = x / sqrt(mean(x^2) + epsilon) * weight for each row. x, out: f32 [rows, size]; weight: bf16 [1, size].
void rms_norm(const execution& on, const_tensor x, const_tensor weight, float epsilon, tensor out);

/// residual += delta, then rms_norm of the residual into out, in one pass over the rows.
void add_rms_norm(const execution& on, tensor residual, const_tensor delta, const_tensor weight, float epsilon,
                  tensor out);

void rms_norm_cpu(const cpu_device& device, const_tensor x, const_tensor weight, float epsilon, tensor out);
void add_rms_norm_cpu(const cpu_device& device, tensor residual, const_tensor delta, const_tensor weight, float epsilon,
                      tensor out);

}  // namespace troupe
