// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cpu/exponential.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/kv_cache.hpp"

namespace troupe {

// A query's result is summed in an order that only its position fixes: keys go in pieces of `piece_tokens` counted from
// position 0, whatever blocks they lie in; a score is summed along the head, a value along the positions. Rows that
// run together share loads, never sums; a key behind a row's own position has weight exactly 0.

inline constexpr std::size_t piece_tokens = 256;
inline constexpr int rows_max = 8;

/// Some rows (a row is one head of one token) and what their running softmax has seen.
struct attention_rows {
  const float* query[rows_max];
  float* out[rows_max];
  std::size_t position[rows_max];
  float greatest[rows_max];
  float weight_sum[rows_max];
  std::size_t last_position;
};

template <class Element>
inline const Element* key_tile(const attention_call& call, std::size_t position) {
  const auto block = static_cast<std::size_t>(call.blocks[position / call.block_tokens]);
  const auto offset = position % call.block_tokens / kv_tile_tokens * kv_tile_tokens;
  return static_cast<const Element*>(call.keys) + block * call.block_stride + offset * call.head_size;
}

template <class Element>
inline const Element* value_row(const attention_call& call, std::size_t position) {
  const auto block = static_cast<std::size_t>(call.blocks[position / call.block_tokens]);
  return static_cast<const Element*>(call.values) + block * call.block_stride +
         position % call.block_tokens * call.head_size;
}

/// Scores of R rows with T tiles of 16 keys.
template <class Simd, class Element, int R, int T>
inline __attribute__((always_inline)) void score_tiles(const attention_call& call, const attention_rows& rows,
                                                       std::size_t position, float (*scores)[piece_tokens]) {
  const Element* tiles[T];
  for (int t = 0; t < T; ++t)
    tiles[t] = key_tile<Element>(call, position + t * kv_tile_tokens);
  typename Simd::reg acc[R][T];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      acc[r][t] = Simd::zero();
  for (std::size_t d = 0; d < call.head_size; ++d) {
    typename Simd::reg keys[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      keys[t] = Simd::load(tiles[t] + d * kv_tile_tokens);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const auto q = Simd::set(rows.query[r][d]);
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t)
        acc[r][t] = Simd::fma(q, keys[t], acc[r][t]);
    }
  }
  const auto scale = Simd::set(call.scale);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      Simd::store(scores[r] + position % piece_tokens + t * kv_tile_tokens, Simd::mul(acc[r][t], scale));
}

/// Turns a row's scores of one piece into weights; returns the factor for what was summed before.
template <class Simd>
inline float soften(attention_rows& rows, int r, std::size_t piece, std::size_t tiles, float* scores) {
  const auto infinity = __builtin_inff();
  const auto seen = rows.position[r] >= piece ? rows.position[r] - piece + 1 : 0;
  for (auto j = seen; j < tiles * kv_tile_tokens; ++j)
    scores[j] = -infinity;
  auto greatest = Simd::set(rows.greatest[r]);
  for (std::size_t t = 0; t < tiles; ++t)
    greatest = Simd::max(Simd::load(scores + t * kv_tile_tokens), greatest);
  const float now = Simd::maximum(greatest);
  const auto shift = Simd::set(now);
  auto sum = Simd::zero();
  for (std::size_t t = 0; t < tiles; ++t) {
    const auto weight = exponential<Simd>(Simd::sub(Simd::load(scores + t * kv_tile_tokens), shift));
    Simd::store(scores + t * kv_tile_tokens, weight);
    sum = Simd::add(sum, weight);
  }
  float factor[16];
  Simd::store(factor, exponential<Simd>(Simd::set(rows.greatest[r] - now)));
  rows.weight_sum[r] = rows.weight_sum[r] * factor[0] + Simd::sum(sum);
  rows.greatest[r] = now;
  return factor[0];
}

/// out = out * factor + weights times values, for R rows and C vectors of the head from column `d`.
template <class Simd, class Element, int R, int C>
inline __attribute__((always_inline)) void add_values(const attention_call& call, const attention_rows& rows,
                                                      std::size_t piece, std::size_t count, std::size_t d,
                                                      const float (*weights)[piece_tokens], const float* factors) {
  typename Simd::reg acc[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      acc[r][c] = Simd::mul(Simd::load(rows.out[r] + d + c * 16), Simd::set(factors[r]));
  for (std::size_t first = 0; first < count; first += kv_tile_tokens) {
    const auto* values = value_row<Element>(call, piece + first) + d;
    const auto end = count - first < kv_tile_tokens ? count - first : kv_tile_tokens;
    for (std::size_t j = 0; j < end; ++j) {
      typename Simd::reg value[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c)
        value[c] = Simd::load(values + j * call.head_size + c * 16);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const auto weight = Simd::set(weights[r][first + j]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
          acc[r][c] = Simd::fma(weight, value[c], acc[r][c]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      Simd::store(rows.out[r] + d + c * 16, acc[r][c]);
}

template <class Simd, class Element, int R>
void attend_rows(const attention_call& call, attention_rows& rows) {
  constexpr int tiles_at_once = R <= 2 ? 4 : 2;
  constexpr int vectors_at_once = R <= 2 ? 4 : 2;
  for (int r = 0; r < R; ++r) {
    rows.greatest[r] = -__builtin_inff();
    rows.weight_sum[r] = 0;
    for (std::size_t d = 0; d < call.head_size; ++d)
      rows.out[r][d] = 0;
  }
  float scores[R][piece_tokens];
  for (std::size_t piece = 0; piece <= rows.last_position; piece += piece_tokens) {
    const auto left = rows.last_position - piece + 1;
    const auto count = left < piece_tokens ? left : piece_tokens;
    const auto tiles = (count + kv_tile_tokens - 1) / kv_tile_tokens;
    std::size_t t = 0;
    for (; t + tiles_at_once <= tiles; t += tiles_at_once)
      score_tiles<Simd, Element, R, tiles_at_once>(call, rows, piece + t * kv_tile_tokens, scores);
    for (; t < tiles; ++t)
      score_tiles<Simd, Element, R, 1>(call, rows, piece + t * kv_tile_tokens, scores);
    float factors[R];
    for (int r = 0; r < R; ++r)
      factors[r] = soften<Simd>(rows, r, piece, tiles, scores[r]);
    std::size_t d = 0;
    for (; d + vectors_at_once * 16 <= call.head_size; d += vectors_at_once * 16)
      add_values<Simd, Element, R, vectors_at_once>(call, rows, piece, count, d, scores, factors);
    for (; d < call.head_size; d += 16)
      add_values<Simd, Element, R, 1>(call, rows, piece, count, d, scores, factors);
  }
  for (int r = 0; r < R; ++r)
    for (std::size_t d = 0; d < call.head_size; ++d)
      rows.out[r][d] /= rows.weight_sum[r];
}

template <class Simd, class Element>
void attend(const attention_call& call) {
  const auto row_count = call.tokens * call.heads;
  for (std::size_t first = 0; first < row_count;) {
    const auto left = row_count - first;
    const std::size_t count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    attention_rows rows{};
    for (std::size_t r = 0; r < count; ++r) {
      const auto token = (first + r) / call.heads;
      const auto head = (first + r) % call.heads;
      rows.query[r] = call.query + token * call.query_stride + head * call.head_size;
      rows.out[r] = call.out + token * call.out_stride + head * call.head_size;
      rows.position[r] = call.position + token;
    }
    rows.last_position = rows.position[count - 1];
    switch (count) {
      case 8:
        attend_rows<Simd, Element, 8>(call, rows);
        break;
      case 4:
        attend_rows<Simd, Element, 4>(call, rows);
        break;
      case 2:
        attend_rows<Simd, Element, 2>(call, rows);
        break;
      default:
        attend_rows<Simd, Element, 1>(call, rows);
        break;
    }
    first += count;
  }
}

}  // namespace troupe
