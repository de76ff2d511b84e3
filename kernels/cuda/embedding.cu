// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/embedding.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"

namespace troupe {

namespace {

/// One block a row; a thread widens 8 elements at a time.
__global__ void embedding_kernel(const bf16* table, std::int32_t first_token, std::int32_t table_rows, int columns,
                                 const std::int32_t* tokens, const std::int32_t* chosen, float* out) {
  allow_next_kernel();
  wait_for_input();
  const auto token = tokens[blockIdx.x];
  const auto index = (token < 0 ? chosen[-1 - token] : token) - first_token;
  auto* to = out + std::size_t{blockIdx.x} * columns;
  const bool present = index >= 0 && index < table_rows;
  const auto* from = table + std::size_t{static_cast<std::uint32_t>(present ? index : 0)} * columns;
  for (int i = static_cast<int>(threadIdx.x) * 8; i < columns; i += static_cast<int>(blockDim.x) * 8) {
    uint4 eight{};
    if (present) eight = *reinterpret_cast<const uint4*>(from + i);
    *reinterpret_cast<float4*>(to + i) = {low_half(eight.x), high_half(eight.x), low_half(eight.y), high_half(eight.y)};
    *reinterpret_cast<float4*>(to + i + 4) = {low_half(eight.z), high_half(eight.z), low_half(eight.w),
                                              high_half(eight.w)};
  }
}

}  // namespace

void embedding_cuda(const bf16* table, std::int32_t first_token, std::size_t table_rows, std::size_t columns,
                    const std::int32_t* tokens, const std::int32_t* chosen, std::size_t rows, float* out,
                    cuda_stream stream) {
  if (rows == 0) return;
  launch("embedding", embedding_kernel, static_cast<unsigned>(rows), 128, 0, stream, table, first_token,
         static_cast<std::int32_t>(table_rows), static_cast<int>(columns), tokens, chosen, out);
}

}  // namespace troupe
