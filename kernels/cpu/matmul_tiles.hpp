// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cpu/kernel_table.hpp"

namespace troupe {

// Every output element is summed the same way, whatever tile, thread or batch computes it: the columns are cut into
// pieces of `sum_columns`; within a piece lane j adds the products of columns j, j + 16, j + 32, ... in order; the 16
// lanes are folded by a fixed tree; the pieces are added in order; the bias comes last.
// `Simd` is the vector type of one instruction set, local to its translation unit.

/// Long enough that folding is cheap, short enough that six rows of x and four of weights stay in the first-level
/// cache.
inline constexpr std::size_t sum_columns = 1024;

/// sums[n * X + m] = sum over the piece of weight row n and x row m.
template <class Simd, int N, int X>
inline __attribute__((always_inline)) void matmul_tile(const bf16* weight, std::size_t weight_stride, const float* x,
                                                       std::size_t x_stride, std::size_t columns, float* sums) {
  typename Simd::reg acc[N][X];
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
    for (int m = 0; m < X; ++m)
      acc[n][m] = Simd::zero();
  std::size_t k = 0;
  for (; k + 16 <= columns; k += 16) {
    typename Simd::reg w[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      // A processor's own prefetcher stops at page ends; this keeps N streams flowing across them.
      __builtin_prefetch(weight + n * weight_stride + k + Simd::prefetch_columns);
      w[n] = Simd::load(weight + n * weight_stride + k);
    }
#pragma GCC unroll 8
    for (int m = 0; m < X; ++m) {
      const auto value = Simd::load(x + m * x_stride + k);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        acc[n][m] = Simd::fma(w[n], value, acc[n][m]);
    }
  }
  if (k < columns) {
    const auto rest = columns - k;
    for (int m = 0; m < X; ++m) {
      const auto value = Simd::load_partial(x + m * x_stride + k, rest);
      for (int n = 0; n < N; ++n)
        acc[n][m] = Simd::fma(Simd::load_partial(weight + n * weight_stride + k, rest), value, acc[n][m]);
    }
  }
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n)
#pragma GCC unroll 8
    for (int m = 0; m < X; ++m)
      sums[n * X + m] = Simd::sum(acc[n][m]);
}

/// Adds one piece of an element's sum to `out`; the last piece brings the bias.
inline __attribute__((always_inline)) void add_piece(float* out, float piece, bool first, bool last, const bf16* bias) {
  float total = first ? piece : *out + piece;
  if (last && bias != nullptr) total += __builtin_bit_cast(float, static_cast<std::uint32_t>(bias->bits) << 16);
  *out = total;
}

/// N weight rows (row_stride apart, from `row`) times X rows of x (from `x_row`), one piece of the sum.
template <class Simd, int N, int X>
inline void matmul_piece(const matmul_call& call, std::size_t row, std::size_t row_stride, std::size_t x_row,
                         std::size_t column) {
  const auto left = call.columns - column;
  const auto columns = left < sum_columns ? left : sum_columns;
  float sums[N * X];
  matmul_tile<Simd, N, X>(call.weight + row * call.weight_stride + column, row_stride * call.weight_stride,
                          call.x + x_row * call.x_stride + column, call.x_stride, columns, sums);
  for (int n = 0; n < N; ++n) {
    const auto out_row = row + n * row_stride;
    const auto* bias = call.bias == nullptr ? nullptr : call.bias + out_row;
    for (int m = 0; m < X; ++m)
      add_piece(call.out + (x_row + m) * call.out_stride + out_row, sums[n * X + m], column == 0, columns == left,
                bias);
  }
}

/// Weight rows [begin, end) in `Streams` streams that lie far apart, because one sequential stream per thread does not
/// fill the memory bandwidth; whole sums, so every weight is read once. For few rows of x.
template <class Simd, int Streams, int X>
inline void matmul_streams(const matmul_call& call, std::size_t begin, std::size_t end, std::size_t x_row) {
  const auto length = (end - begin) / Streams;
  for (std::size_t i = 0; i < length; ++i)
    for (std::size_t column = 0; column < call.columns; column += sum_columns)
      matmul_piece<Simd, Streams, X>(call, begin + i, length, x_row, column);
  for (std::size_t row = begin + length * Streams; row < end; ++row)
    for (std::size_t column = 0; column < call.columns; column += sum_columns)
      matmul_piece<Simd, 1, X>(call, row, 1, x_row, column);
}

/// Weight rows [begin, end), whose pieces stay in the second-level cache, times X rows of x, whose piece stays in the
/// first-level one. For many rows of x.
template <class Simd, int N, int X>
inline void matmul_block(const matmul_call& call, std::size_t begin, std::size_t end, std::size_t x_row) {
  for (std::size_t column = 0; column < call.columns; column += sum_columns) {
    auto row = begin;
    for (; row + N <= end; row += N)
      matmul_piece<Simd, N, X>(call, row, 1, x_row, column);
    for (; row < end; ++row)
      matmul_piece<Simd, 1, X>(call, row, 1, x_row, column);
  }
}

/// The last X rows of x, fewer than a whole tile.
template <class Simd, int X>
inline void matmul_rest(const matmul_call& call, std::size_t begin, std::size_t end, std::size_t x_row) {
  if constexpr (X > 0) {
    if (call.x_rows - x_row == X) return matmul_block<Simd, Simd::tile_weight_rows, X>(call, begin, end, x_row);
    matmul_rest<Simd, X - 1>(call, begin, end, x_row);
  }
}

template <class Simd>
inline void matmul_rows(const matmul_call& call, std::size_t begin, std::size_t end) {
  switch (call.x_rows) {
    case 0:
      return;
    case 1:
      return matmul_streams<Simd, 8, 1>(call, begin, end, 0);
    case 2:
      return matmul_streams<Simd, 8, 2>(call, begin, end, 0);
    case 3:
      return matmul_streams<Simd, 8, 3>(call, begin, end, 0);
    case 4:
      return matmul_streams<Simd, 4, 4>(call, begin, end, 0);
    default:
      break;
  }
  constexpr int tile = Simd::tile_x_rows;
  std::size_t x_row = 0;
  for (; x_row + tile <= call.x_rows; x_row += tile)
    matmul_block<Simd, Simd::tile_weight_rows, tile>(call, begin, end, x_row);
  matmul_rest<Simd, tile - 1>(call, begin, end, x_row);
}

}  // namespace troupe
