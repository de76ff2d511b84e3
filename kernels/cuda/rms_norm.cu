// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/rms_norm.hpp"

namespace troupe {

namespace {

constexpr int warps = 8;

/// One block a row, which is read twice: the second time it comes from the first-level cache.
__global__ void __launch_bounds__(warps * 32)
    rms_norm_kernel(float* x, const float* delta, const std::int32_t* row_index, const bf16* weight, float epsilon,
                    int columns, bf16* out) {
  __shared__ float scratch[warps];
  allow_next_kernel();
  wait_for_input();
  const auto row = row_index == nullptr ? static_cast<std::int32_t>(blockIdx.x) : row_index[blockIdx.x];
  auto* from = x + std::size_t{static_cast<std::uint32_t>(row)} * columns;
  float squares = 0;
  for (int i = static_cast<int>(threadIdx.x) * 4; i < columns; i += warps * 128) {
    auto four = *reinterpret_cast<const float4*>(from + i);
    if (delta != nullptr) {
      const auto more = *reinterpret_cast<const float4*>(delta + std::size_t{blockIdx.x} * columns + i);
      four = {four.x + more.x, four.y + more.y, four.z + more.z, four.w + more.w};
      *reinterpret_cast<float4*>(from + i) = four;
    }
    squares += four.x * four.x + four.y * four.y + four.z * four.z + four.w * four.w;
  }
  const float scale = rsqrtf(block_sum<warps>(squares, scratch) / static_cast<float>(columns) + epsilon);
  auto* to = out + std::size_t{blockIdx.x} * columns;
  for (int i = static_cast<int>(threadIdx.x) * 4; i < columns; i += warps * 128) {
    const auto four = *reinterpret_cast<const float4*>(from + i);
    const auto w = *reinterpret_cast<const uint2*>(weight + i);
    *reinterpret_cast<uint2*>(to + i) = {pack_pair(four.x * scale * low_half(w.x), four.y * scale * high_half(w.x)),
                                         pack_pair(four.z * scale * low_half(w.y), four.w * scale * high_half(w.y))};
  }
}

}  // namespace

void rms_norm_cuda(const float* x, const std::int32_t* row_index, const bf16* weight, float epsilon, std::size_t rows,
                   std::size_t columns, bf16* out, cuda_stream stream) {
  if (rows == 0) return;
  // Without a delta the kernel writes nothing to x.
  launch("rms_norm", rms_norm_kernel, static_cast<unsigned>(rows), warps * 32, 0, stream, const_cast<float*>(x),
         nullptr, row_index, weight, epsilon, static_cast<int>(columns), out);
}

void add_rms_norm_cuda(float* residual, const float* delta, const bf16* weight, float epsilon, std::size_t rows,
                       std::size_t columns, bf16* out, cuda_stream stream) {
  if (rows == 0) return;
  launch("add_rms_norm", rms_norm_kernel, static_cast<unsigned>(rows), warps * 32, 0, stream, residual, delta, nullptr,
         weight, epsilon, static_cast<int>(columns), out);
}

}  // namespace troupe
