// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cpu/elementwise.hpp"
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
template <class Simd, int N, int X, class Weight>
inline __attribute__((always_inline)) void matmul_tile(const Weight* weight, std::size_t weight_stride, const float* x,
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
      if constexpr (sizeof(Weight) == sizeof(bf16))
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

/// Puts the sums of N weight rows, row_stride apart from `row`, and X rows of x where they belong.
template <int N, int X>
inline __attribute__((always_inline)) void put_sums(const matmul_call& call, const float* sums, std::size_t row,
                                                    std::size_t row_stride, std::size_t x_row, bool first, bool last) {
  for (int n = 0; n < N; ++n) {
    const auto out_row = row + n * row_stride;
    const auto* bias = call.bias == nullptr ? nullptr : call.bias + out_row;
    for (int m = 0; m < X; ++m)
      add_piece(call.out + (x_row + m) * call.out_stride + out_row, sums[n * X + m], first, last, bias);
  }
}

/// N weight rows, row_stride apart from `row`, times X rows of x from `x_row`, one piece of the sums.
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

/// The same with the number of x rows, at most X, known at run time.
template <class Simd, int N, int X>
inline void matmul_piece_of(std::size_t x_rows, const matmul_call& call, std::size_t row, std::size_t row_stride,
                            std::size_t x_row, std::size_t column) {
  if constexpr (X > 0) {
    if (x_rows == X) return matmul_piece<Simd, N, X>(call, row, row_stride, x_row, column);
    matmul_piece_of<Simd, N, X - 1>(x_rows, call, row, row_stride, x_row, column);
  }
}

/// Rows of x in the next tile when `left` remain: nearly equal tiles of at most `largest`.
inline std::size_t next_tile(std::size_t left, std::size_t largest) {
  const auto tiles = (left + largest - 1) / largest;
  return (left + tiles - 1) / tiles;
}

/// For few rows of x: takes N weight rows at a time, so that each weight comes from memory once, and leads all rows of
/// x past them. The N rows lie far apart: one sequential stream per thread does not fill the memory bandwidth.
template <class Simd, int N>
inline void matmul_few(const matmul_call& call, std::size_t begin, std::size_t length) {
  for (auto row = begin; row < begin + length; ++row) {
    for (std::size_t column = 0; column < call.columns; column += sum_columns) {
      for (std::size_t x_row = 0, size = 0; x_row < call.x_rows; x_row += size) {
        size = next_tile(call.x_rows - x_row, Simd::tile_x_rows);
        matmul_piece_of<Simd, N, Simd::tile_x_rows>(size, call, row, length, x_row, column);
      }
    }
  }
}

/// Widened weight rows, `rows` of them from row `first`, times X rows of x, at most the given X, one piece of the sums.
template <class Simd, int N, int X>
inline void matmul_wide_of(std::size_t x_rows, const matmul_call& call, const float* block, std::size_t first,
                           std::size_t rows, std::size_t x_row, std::size_t column, std::size_t columns) {
  if constexpr (X > 0) {
    if (x_rows != X) return matmul_wide_of<Simd, N, X - 1>(x_rows, call, block, first, rows, x_row, column, columns);
    const auto* x = call.x + x_row * call.x_stride + column;
    const bool last = column + columns == call.columns;
    float sums[N * X];
    std::size_t i = 0;
    for (; i + N <= rows; i += N) {
      matmul_tile<Simd, N, X>(block + i * sum_columns, sum_columns, x, call.x_stride, columns, sums);
      put_sums<N, X>(call, sums, first + i, 1, x_row, column == 0, last);
    }
    for (; i < rows; ++i) {
      matmul_tile<Simd, 1, X>(block + i * sum_columns, sum_columns, x, call.x_stride, columns, sums);
      put_sums<1, X>(call, sums, first + i, 1, x_row, column == 0, last);
    }
  }
}

/// For many rows of x: widens a block of weight rows once, to stay in the second-level cache, and leads tiles of x,
/// each in the first-level cache, past it.
template <class Simd, int N>
void matmul_many(const matmul_call& call, std::size_t begin, std::size_t end) {
  constexpr std::size_t block_rows = 64;
  alignas(64) float block[block_rows * sum_columns];
  for (std::size_t column = 0; column < call.columns; column += sum_columns) {
    const auto left = call.columns - column;
    const auto columns = left < sum_columns ? left : sum_columns;
    for (auto first = begin; first < end; first += block_rows) {
      const auto rows = end - first < block_rows ? end - first : block_rows;
      for (std::size_t i = 0; i < rows; ++i)
        widen_row<Simd>(call.weight + (first + i) * call.weight_stride + column, block + i * sum_columns, columns);
      for (std::size_t x_row = 0, size = 0; x_row < call.x_rows; x_row += size) {
        size = next_tile(call.x_rows - x_row, Simd::tile_x_rows);
        matmul_wide_of<Simd, N, Simd::tile_x_rows>(size, call, block, first, rows, x_row, column, columns);
      }
    }
  }
}

template <class Simd>
void matmul_rows(const matmul_call& call, std::size_t begin, std::size_t end) {
  constexpr std::size_t few_rows = 24;
  constexpr int streams = 8;
  constexpr int tile = Simd::tile_weight_rows;
  if (call.x_rows > few_rows) return matmul_many<Simd, tile>(call, begin, end);
  auto row = begin;
  if (call.x_rows == 1) {
    const auto length = (end - row) / streams;
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t column = 0; column < call.columns; column += sum_columns)
        matmul_piece<Simd, streams, 1>(call, row + i, length, 0, column);
    row += length * streams;
  }
  const auto length = (end - row) / tile;
  matmul_few<Simd, tile>(call, row, length);
  matmul_few<Simd, 1>(call, row + length * tile, end - row - length * tile);
}

}  // namespace troupe
