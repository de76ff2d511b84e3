// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// The lowest index of the greatest value of a float32 row; NaNs are never chosen, and an all-NaN row gives 0.
std::size_t arg_max(const execution& on, const_tensor row);

/// out = e^((row - shift) * scale), with a relative error below 3e-7 and 0 where the exponent is below -87.
void exponentials(const execution& on, const_tensor row, float shift, float scale, tensor out);

std::size_t arg_max_cpu(const cpu_device& device, const_tensor row);
void exponentials_cpu(const cpu_device& device, const_tensor row, float shift, float scale, tensor out);

}  // namespace troupe
