// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// Rotates each head of x in place: the pair (x[i], x[i + half]) by angle i of its row.
/// x: f32 [tokens, heads * head_size]; cosines, sines: f32 [tokens, head_size / 2].
void rope(const execution& on, tensor x, const_tensor cosines, const_tensor sines, std::size_t head_size);

void rope_cpu(const cpu_device& device, tensor x, const_tensor cosines, const_tensor sines, std::size_t head_size);

}  // namespace troupe
