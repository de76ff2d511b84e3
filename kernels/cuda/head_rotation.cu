// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/cuda/head_rotation.hpp"
#include "kernels/cuda/launch.cuh"

namespace troupe {

namespace {

__global__ void fill_rotation_angles_kernel(const float* frequencies, std::size_t half, std::size_t count,
                                            float2* angles) {
  wait_for_input();
  const auto step = std::size_t{gridDim.x} * blockDim.x;
  for (auto i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    // A float32 product, as in the reference implementations: at far positions its rounding is part of the model.
    const float angle = static_cast<float>(i / half) * frequencies[i % half];
    float sine, cosine;
    sincosf(angle, &sine, &cosine);
    angles[i] = {cosine, sine};
  }
}

}  // namespace

void fill_rotation_angles_cuda(const float* frequencies, std::size_t half, std::size_t positions, float* angles,
                               cuda_stream stream) {
  const auto count = half * positions;
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<std::size_t>((count + 255) / 256, 2048));
  launch("rotation_angles", fill_rotation_angles_kernel, blocks, 256, 0, stream, frequencies, half, count,
         reinterpret_cast<float2*>(angles));
}

}  // namespace troupe
