// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX-512 and AMX bfloat16; called only where detect_cpu_features() finds them.
//
// The tile unit multiplies bfloat16 and adds float32. x is split into two bfloat16 (what the first rounds away goes
// into the second), so that 16 of its 24 bits count and the result is nearly that of float32. Weight rows are the left
// factor, straight from where they lie; x, packed in pairs, is the right one. An element of the result is one
// accumulator that sees the columns in order, first part before second, so it does not depend on what else is in the
// tiles.
#include <immintrin.h>

#include "kernels/cpu/kernel_table.hpp"

namespace troupe {

namespace {

constexpr std::size_t tile_rows = 16;
constexpr std::size_t step_columns = 32;  ///< of weights that one tile holds in a row
constexpr std::size_t group_rows = 16;    ///< rows of x that one tile holds

struct alignas(64) tile_shapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// Tiles 0 to 3 are sums, 4 and 5 weights, 6 and 7 x.
void configure_tiles(std::size_t width) {
  tile_shapes shapes;
  for (int tile = 0; tile < 8; ++tile) {
    shapes.rows[tile] = tile_rows;
    shapes.row_bytes[tile] = tile == 4 || tile == 5 ? 64 : static_cast<std::uint16_t>(4 * width);
  }
  // The intrinsics do not tell the compiler which memory they read.
  asm volatile("" ::"m"(shapes) : "memory");
  _tile_loadconfig(&shapes);
}

std::size_t group_width(std::size_t x_rows) { return x_rows < group_rows ? x_rows : group_rows; }
std::size_t step_count(std::size_t columns) { return (columns + step_columns - 1) / step_columns; }
/// Of one group's first or second parts for one step: 16 pairs of columns times the width.
std::size_t part_elements(std::size_t width) { return tile_rows * width * 2; }
std::size_t group_elements(std::size_t width, std::size_t columns) {
  return 2 * step_count(columns) * part_elements(width);
}

std::size_t packed_bytes(std::size_t x_rows, std::size_t columns) {
  const auto groups = (x_rows + group_rows - 1) / group_rows;
  return groups * group_elements(group_width(x_rows), columns) * sizeof(bf16);
}

bf16 round_to_bf16(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

float widen(bf16 x) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16); }

/// The two parts of one step of a row of x; what is outside the matrix is zero.
struct split_columns {
  bf16 first[step_columns];
  bf16 second[step_columns];

  split_columns(const float* x, std::size_t count) {
    float values[step_columns] = {};
    for (std::size_t j = 0; j < count; ++j)
      values[j] = x[j];
    for (std::size_t j = 0; j < step_columns; ++j) {
      first[j] = round_to_bf16(values[j]);
      second[j] = round_to_bf16(values[j] - widen(first[j]));
    }
  }
};

/// Stores pairs of columns `width` pairs apart.
void put_pairs(const bf16* columns, std::size_t width, bf16* to) {
  for (std::size_t pair = 0; pair < step_columns / 2; ++pair)
    __builtin_memcpy(to + pair * width * 2, columns + pair * 2, 2 * sizeof(bf16));
}

/// Layout of a group: for each step the first parts, then the second, each [pair][row of x][2].
void pack_group(const matmul_call& call, std::size_t group, void* packed) {
  const auto width = group_width(call.x_rows);
  auto* to = static_cast<bf16*>(packed) + group * group_elements(width, call.columns);
  for (std::size_t step = 0; step < step_count(call.columns); ++step, to += 2 * part_elements(width)) {
    const auto column = step * step_columns;
    const auto left = call.columns - column;
    for (std::size_t i = 0; i < width; ++i) {
      const auto row = group * group_rows + i;
      const auto count = row >= call.x_rows ? 0 : left < step_columns ? left : step_columns;
      const split_columns parts(call.x + (count == 0 ? 0 : row * call.x_stride + column), count);
      put_pairs(parts.first, width, to + 2 * i);
      put_pairs(parts.second, width, to + part_elements(width) + 2 * i);
    }
  }
}

/// Sixteen weight rows, or as many as are left, as the tile loads see them.
struct weight_rows {
  const bf16* data;
  std::size_t stride;
  std::size_t count;  ///< at most 16
  std::size_t columns;
  alignas(64) bf16 padded[tile_rows * step_columns];

  /// Where to load the tile of a step from, and the bytes between its rows. What is outside the matrix reads as zero.
  const bf16* at(std::size_t column, std::size_t& stride_bytes) {
    if (count == tile_rows && column + step_columns <= columns) {
      stride_bytes = stride * sizeof(bf16);
      return data + column;
    }
    stride_bytes = step_columns * sizeof(bf16);
    for (std::size_t i = 0; i < tile_rows; ++i)
      for (std::size_t j = 0; j < step_columns; ++j)
        padded[i * step_columns + j] = i < count && column + j < columns ? data[i * stride + column + j] : bf16{};
    return padded;
  }

  /// What comes `prefetch_columns` after a column; after the last ones, the rows that are multiplied next.
  void prefetch_after(std::size_t column) const {
    constexpr std::size_t prefetch_columns = 256;
    const auto ahead = column + prefetch_columns;
    const auto* from = ahead < columns ? data + ahead : data + 2 * tile_rows * stride + (ahead - columns);
    for (std::size_t i = 0; i < count; ++i)
      __builtin_prefetch(from + i * stride);
  }
};

weight_rows rows_from(const matmul_call& call, std::size_t row, std::size_t end) {
  weight_rows rows;
  const auto left = row < end ? end - row : 0;
  rows.data = call.weight + row * call.weight_stride;
  rows.stride = call.weight_stride;
  rows.count = left < tile_rows ? left : tile_rows;
  rows.columns = call.columns;
  return rows;
}

void load_weights(weight_rows& upper, weight_rows& lower, std::size_t column) {
  std::size_t stride = 0;
  const auto* from = upper.at(column, stride);
  asm volatile("" ::: "memory");
  _tile_loadd(4, from, stride);
  from = lower.at(column, stride);
  asm volatile("" ::: "memory");
  _tile_loadd(5, from, stride);
}

/// Sums of 32 weight rows with one group of x rows into tiles 0 and 2.
void multiply_one(weight_rows& upper, weight_rows& lower, const bf16* x, std::size_t width, std::size_t columns) {
  const auto row_bytes = 4 * width;
  _tile_zero(0);
  _tile_zero(2);
  for (std::size_t column = 0; column < columns; column += step_columns, x += 2 * part_elements(width)) {
    upper.prefetch_after(column);
    lower.prefetch_after(column);
    load_weights(upper, lower, column);
    _tile_loadd(6, x, row_bytes);
    _tile_loadd(7, x + part_elements(width), row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(0, 4, 7);
    _tile_dpbf16ps(2, 5, 7);
  }
}

/// The same with two groups, the second into tiles 1 and 3.
void multiply_two(weight_rows& upper, weight_rows& lower, const bf16* x, const bf16* other, std::size_t columns) {
  constexpr auto part = tile_rows * group_rows * 2;
  constexpr auto row_bytes = 4 * group_rows;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t column = 0; column < columns; column += step_columns, x += 2 * part, other += 2 * part) {
    load_weights(upper, lower, column);
    _tile_loadd(6, x, row_bytes);
    _tile_loadd(7, other, row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(6, x + part, row_bytes);
    _tile_loadd(7, other + part, row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

/// Turns a tile of sums, [weight row][row of x], into rows of the result.
void put_tile(const matmul_call& call, const float* sums, std::size_t row, std::size_t count, std::size_t x_row) {
  if (count == 0) return;
  const auto mask = static_cast<__mmask16>((1U << count) - 1U);
  const auto width = group_width(call.x_rows);
  const auto index = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                        _mm512_set1_epi32(static_cast<int>(width)));
  auto bias = _mm512_setzero_ps();
  if (call.bias != nullptr)
    bias = _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, call.bias + row)), 16));
  for (std::size_t i = 0; i < width && x_row + i < call.x_rows; ++i) {
    const auto column = _mm512_i32gather_ps(index, sums + i, 4);
    _mm512_mask_storeu_ps(call.out + (x_row + i) * call.out_stride + row, mask, _mm512_add_ps(column, bias));
  }
}

void matmul(const matmul_call& call, std::size_t begin, std::size_t end) {
  const auto width = group_width(call.x_rows);
  const auto groups = (call.x_rows + group_rows - 1) / group_rows;
  const auto row_bytes = 4 * width;
  const auto* packed = static_cast<const bf16*>(call.packed);
  const auto group_size = group_elements(width, call.columns);
  alignas(64) float sums[4][tile_rows * group_rows];
  configure_tiles(width);
  for (auto row = begin; row < end; row += 2 * tile_rows) {
    auto upper = rows_from(call, row, end);
    auto lower = rows_from(call, row + tile_rows, end);
    for (std::size_t group = 0; group < groups; group += 2) {
      const bool two = group + 1 < groups;
      const auto* x = packed + group * group_size;
      if (two)
        multiply_two(upper, lower, x, x + group_size, call.columns);
      else
        multiply_one(upper, lower, x, width, call.columns);
      _tile_stored(0, sums[0], row_bytes);
      _tile_stored(2, sums[2], row_bytes);
      if (two) {
        _tile_stored(1, sums[1], row_bytes);
        _tile_stored(3, sums[3], row_bytes);
      }
      asm volatile("" ::: "memory");
      put_tile(call, sums[0], row, upper.count, group * group_rows);
      put_tile(call, sums[2], row + tile_rows, lower.count, group * group_rows);
      if (two) {
        put_tile(call, sums[1], row, upper.count, (group + 1) * group_rows);
        put_tile(call, sums[3], row + tile_rows, lower.count, (group + 1) * group_rows);
      }
    }
  }
  _tile_release();
}

cpu_kernels make_amx_kernels() {
  auto kernels = *avx512_kernels();
  kernels.packed_bytes = packed_bytes;
  kernels.pack_group = pack_group;
  kernels.matmul = matmul;
  return kernels;
}

}  // namespace

const cpu_kernels* amx_kernels() {
  static const cpu_kernels kernels = make_amx_kernels();
  return &kernels;
}

}  // namespace troupe
