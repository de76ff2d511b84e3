// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace troupe {

// Sixteen rows of queries against tiles of keys and values, as one warp does it: FlashAttention-2 (Dao, 2023), with the
// running maximum and sum of each row in registers. Tiles lie in shared memory as [tokens][HeadSize] bf16, in pieces of
// 16 bytes whose place in the row is XORed with the row, so that eight rows of a matrix lie in different banks.

template <int HeadSize>
__device__ inline std::uint32_t tile_offset(int token, int piece) {
  return static_cast<std::uint32_t>(token * HeadSize * 2 + ((piece ^ (token & 7)) << 4));
}

/// Where head `head` of the keys of position `position` lies; values are `value_offset` elements further.
__device__ inline const bf16* key_of(const paged_cache& cache, const std::int32_t* blocks, int position, int head) {
  const auto block_tokens = static_cast<int>(cache.block_tokens);
  const auto block = static_cast<std::size_t>(blocks[position / block_tokens]);
  return cache.data + ((block * 2 * cache.heads + head) * block_tokens + position % block_tokens) * cache.head_size;
}

/// What a warp knows of its sixteen rows. Lane l holds rows l / 4 and l / 4 + 8.
template <int HeadSize>
struct row_state {
  float greatest[2] = {-INFINITY, -INFINITY};  ///< of the scores, times scale * log2 e
  float sum[2] = {0, 0};                       ///< this lane's share of the sum of weights
  float out[HeadSize / 8][4] = {};

  /// Scores of the 16 tokens at `keys` (shared memory); `score[j]` holds tokens 8 * j to 8 * j + 7.
  __device__ static void score_tokens(const std::uint32_t (&query)[HeadSize / 16][4], std::uint32_t keys,
                                      int first_token, float (&score)[2][4]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int token = first_token + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int k = 0; k < HeadSize / 16; ++k) {
      std::uint32_t key[4];
      load_matrices(key, keys + tile_offset<HeadSize>(token, 2 * k + lane / 8 % 2));
      multiply_add(score[0], query[k], key[0], key[1]);
      multiply_add(score[1], query[k], key[2], key[3]);
    }
  }

  /// Scales what is there to a new maximum. `score` holds raw scores with what is masked at minus infinity.
  template <int Tiles>
  __device__ void weigh(float (&score)[Tiles][2][4], float scale_log2) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = -INFINITY;
#pragma unroll
      for (int t = 0; t < Tiles; ++t)
        top = fmaxf(top, fmaxf(fmaxf(score[t][0][2 * r], score[t][0][2 * r + 1]),
                               fmaxf(score[t][1][2 * r], score[t][1][2 * r + 1])));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 2));
      const float next = fmaxf(greatest[r], top * scale_log2);
      const float shift = next == -INFINITY ? 0.0F : next;  // a row with nothing to see yet
      const float shrink = exp2f(greatest[r] - shift);
      greatest[r] = next;
      sum[r] *= shrink;
#pragma unroll
      for (int i = 0; i < HeadSize / 8; ++i) {
        out[i][2 * r] *= shrink;
        out[i][2 * r + 1] *= shrink;
      }
#pragma unroll
      for (int t = 0; t < Tiles; ++t)
#pragma unroll
        for (int j = 0; j < 2; ++j)
#pragma unroll
          for (int c = 0; c < 2; ++c) {
            auto& x = score[t][j][2 * r + c];
            x = exp2f(x * scale_log2 - shift);
            sum[r] += x;
          }
    }
  }

  /// out += weights times the values of the 16 tokens at `values` (shared memory).
  __device__ void add_values(const float (&weight)[2][4], std::uint32_t values, int first_token) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int token = first_token + lane / 8 % 2 * 8 + lane % 8;
    const std::uint32_t w[4] = {pack_pair(weight[0][0], weight[0][1]), pack_pair(weight[0][2], weight[0][3]),
                                pack_pair(weight[1][0], weight[1][1]), pack_pair(weight[1][2], weight[1][3])};
#pragma unroll
    for (int i = 0; i < HeadSize / 16; ++i) {
      std::uint32_t value[4];
      load_matrices_transposed(value, values + tile_offset<HeadSize>(token, 2 * i + lane / 16));
      multiply_add(out[2 * i], w, value[0], value[1]);
      multiply_add(out[2 * i + 1], w, value[2], value[3]);
    }
  }

  /// The whole sum of weights of row r, in all four lanes that share it.
  __device__ float whole_sum(int r) const {
    const float half = sum[r] + __shfl_xor_sync(0xffffffffU, sum[r], 1);
    return half + __shfl_xor_sync(0xffffffffU, half, 2);
  }
};

/// The fragments of sixteen query rows; `row_pointer(r)` is row r, or null for one that does not exist.
template <int HeadSize, class RowPointer>
__device__ void load_query(std::uint32_t (&query)[HeadSize / 16][4], RowPointer row_pointer) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const bf16* row = row_pointer(lane / 4 + 8 * r);
#pragma unroll
    for (int k = 0; k < HeadSize / 16; ++k)
#pragma unroll
      for (int c = 0; c < 2; ++c)
        query[k][r + 2 * c] =
            row == nullptr ? 0 : *reinterpret_cast<const std::uint32_t*>(row + 16 * k + 8 * c + lane % 4 * 2);
  }
}

}  // namespace troupe
