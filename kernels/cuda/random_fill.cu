// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/random_fill.hpp"

namespace troupe {

namespace {

__device__ std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

__global__ void random_fill_kernel(std::uint32_t seed, std::uint64_t first, std::uint64_t row_stride, float centre,
                                   float spread, std::uint64_t elements, std::uint64_t columns, bf16* out) {
  wait_for_input();
  const auto step = std::uint64_t{gridDim.x} * blockDim.x;
  for (auto i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step) {
    const auto index = first + i / columns * row_stride + i % columns;
    const auto pair = index / 2;
    const auto key = __byte_perm(seed, 0, 0x0123) ^ (static_cast<std::uint32_t>(pair >> 32) * 0x9e3779b9U);
    const auto word = mix(mix(static_cast<std::uint32_t>(pair) + seed) ^ key);
    const auto half = index % 2 == 0 ? word & 0xffffU : word >> 16;
    // No fused multiply-add: the CPU's values are those of two roundings.
    const float uniform = __fmul_rn(__fadd_rn(static_cast<float>(static_cast<int>(half)), -32767.5F), 1.0F / 32768);
    const auto bits = __float_as_uint(__fadd_rn(centre, __fmul_rn(spread, uniform)));
    out[i].bits = static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
  }
}

}  // namespace

void random_fill_cuda(std::uint32_t seed, std::uint64_t first, std::uint64_t row_stride, float centre, float spread,
                      std::size_t rows, std::size_t columns, bf16* out, cuda_stream stream) {
  if (rows == 0 || columns == 0) return;
  const auto elements = std::uint64_t{rows} * columns;
  const auto blocks = static_cast<unsigned>(std::min<std::uint64_t>((elements + 255) / 256, 132 * 16));
  launch("random_fill", random_fill_kernel, blocks, 256, 0, stream, seed, first, row_stride, centre, spread, elements,
         std::uint64_t{columns}, out);
}

}  // namespace troupe
