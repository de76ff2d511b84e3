// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// out = silu(gate) * up, where each row of gate_up is the gate's `columns` elements, then the up's. Device memory.
/// gate_up: bf16 [rows, 2 * columns]; out: bf16 [rows, columns]; columns a multiple of 8.
void silu_mul_cuda(const bf16* gate_up, std::size_t rows, std::size_t columns, bf16* out, cuda_stream stream);

}  // namespace troupe
