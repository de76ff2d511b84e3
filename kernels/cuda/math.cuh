// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_bf16.h>

#include "kernels/dtype.hpp"

namespace troupe {

__device__ inline float low_half(std::uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_half(std::uint32_t pair) { return __uint_as_float(pair & 0xffff0000U); }

__device__ inline std::uint32_t pack_pair(float low, float high) {
  const auto pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const std::uint32_t&>(pair);
}

__device__ inline float widen(bf16 x) { return __uint_as_float(static_cast<std::uint32_t>(x.bits) << 16); }
__device__ inline bf16 narrow(float x) { return {__bfloat16_as_ushort(__float2bfloat16_rn(x))}; }

__device__ inline float silu(float x) { return x / (1.0F + __expf(-x)); }

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    x += __shfl_xor_sync(0xffffffffU, x, offset);
  return x;
}

/// The sum over the block, in every thread, in an order that depends on the block's size alone. `scratch` is shared
/// memory of one float a warp; the caller synchronises before it uses it again.
template <int Warps>
__device__ float block_sum(float x, float* scratch) {
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < Warps; ++warp)
    sum += scratch[warp];
  return sum;
}

}  // namespace troupe
