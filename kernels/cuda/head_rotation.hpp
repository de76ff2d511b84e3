// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// What is done to a query or key head before attention: rms_norm where the model has it, then rotation by the token's
/// position. Device memory.
struct head_rotation {
  const bf16* q_norm;  ///< [head_size], or null
  const bf16* k_norm;  ///< [head_size], or null
  float epsilon;
  const float* angles;  ///< [positions, head_size / 2, 2]: cosine and sine of each pair's angle
};

/// Fills the angles of positions [0, positions); frequencies: [half], radians per position, device memory.
void fill_rotation_angles_cuda(const float* frequencies, std::size_t half, std::size_t positions, float* angles,
                               cuda_stream stream);

}  // namespace troupe
