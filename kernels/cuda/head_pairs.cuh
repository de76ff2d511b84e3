// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/head_rotation.hpp"
#include "kernels/cuda/math.cuh"

namespace troupe {

/// One head of one token in the registers of a warp: lane l holds the pairs (x[i], x[i + half]) from i = l * per_lane.
template <int HeadSize>
struct head_pairs {
  static constexpr int half = HeadSize / 2;
  static constexpr int per_lane = half / 32;

  float low[per_lane], high[per_lane];

  __device__ static int first() { return static_cast<int>(threadIdx.x) % 32 * per_lane; }

  __device__ explicit head_pairs(const bf16* x) {
#pragma unroll
    for (int j = 0; j < per_lane; ++j) {
      low[j] = widen(x[first() + j]);
      high[j] = widen(x[half + first() + j]);
    }
  }

  __device__ void norm_and_rotate(const bf16* norm, const head_rotation& how, int position) {
    if (norm != nullptr) {
      float squares = 0;
#pragma unroll
      for (int j = 0; j < per_lane; ++j)
        squares += low[j] * low[j] + high[j] * high[j];
      const float scale = rsqrtf(warp_sum(squares) / HeadSize + how.epsilon);
#pragma unroll
      for (int j = 0; j < per_lane; ++j) {
        low[j] *= scale * widen(norm[first() + j]);
        high[j] *= scale * widen(norm[half + first() + j]);
      }
    }
    const auto* angle = reinterpret_cast<const float2*>(how.angles) + static_cast<std::size_t>(position) * half;
#pragma unroll
    for (int j = 0; j < per_lane; ++j) {
      const auto turn = angle[first() + j];
      const float rotated = low[j] * turn.x - high[j] * turn.y;
      high[j] = high[j] * turn.x + low[j] * turn.y;
      low[j] = rotated;
    }
  }

  __device__ void store(bf16* to) const {
#pragma unroll
    for (int j = 0; j < per_lane; ++j) {
      to[first() + j] = narrow(low[j]);
      to[half + first() + j] = narrow(high[j]);
    }
  }

  /// The same into a swizzled tile: `piece_at(p)` is where its p-th eight elements lie.
  template <class PieceAt>
  __device__ void store_pieces(PieceAt piece_at) const {
#pragma unroll
    for (int j = 0; j < per_lane; ++j) {
      const int i = first() + j;
      piece_at(i / 8)[i % 8] = narrow(low[j]);
      piece_at((half + i) / 8)[i % 8] = narrow(high[j]);
    }
  }
};

}  // namespace troupe
