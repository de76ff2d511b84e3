// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// out[i] = x[r] / sqrt(mean(x[r]^2) + epsilon) * weight, where r is row_index[i], or i when row_index is null. All
/// device memory. x: f32 [*, columns]; weight: bf16 [columns]; out: bf16 [rows, columns]; columns a multiple of 8.
void rms_norm_cuda(const float* x, const std::int32_t* row_index, const bf16* weight, float epsilon, std::size_t rows,
                   std::size_t columns, bf16* out, cuda_stream stream);

/// residual += delta first, both f32 [rows, columns]; then as above, row by row.
void add_rms_norm_cuda(float* residual, const float* delta, const bf16* weight, float epsilon, std::size_t rows,
                       std::size_t columns, bf16* out, cuda_stream stream);

}  // namespace troupe
