// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/silu_mul.hpp"

namespace troupe {

namespace {

__device__ std::uint32_t silu_mul_pair(std::uint32_t gate, std::uint32_t up) {
  return pack_pair(silu(low_half(gate)) * low_half(up), silu(high_half(gate)) * high_half(up));
}

__global__ void silu_mul_kernel(const bf16* gate_up, int columns, bf16* out) {
  allow_next_kernel();
  wait_for_input();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (i >= columns) return;
  const auto row = std::size_t{blockIdx.y};
  const auto g = *reinterpret_cast<const uint4*>(gate_up + row * 2 * columns + i);
  const auto u = *reinterpret_cast<const uint4*>(gate_up + (row * 2 + 1) * columns + i);
  *reinterpret_cast<uint4*>(out + row * columns + i) = {silu_mul_pair(g.x, u.x), silu_mul_pair(g.y, u.y),
                                                        silu_mul_pair(g.z, u.z), silu_mul_pair(g.w, u.w)};
}

}  // namespace

void silu_mul_cuda(const bf16* gate_up, std::size_t rows, std::size_t columns, bf16* out, cuda_stream stream) {
  if (rows == 0) return;
  constexpr unsigned threads = 256;
  const dim3 grid(static_cast<unsigned>((columns / 8 + threads - 1) / threads), static_cast<unsigned>(rows));
  launch("silu_mul", silu_mul_kernel, grid, threads, 0, stream, gate_up, static_cast<int>(columns), out);
}

}  // namespace troupe
