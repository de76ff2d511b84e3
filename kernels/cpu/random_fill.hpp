// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dtype.hpp"

namespace troupe {

// Values made from an index: integer hashing, one float product and sum, one rounding to bfloat16, so every processor
// and device makes the same ones. Plain code that the compiler vectorises for each instruction set.

inline std::uint32_t mix_bits(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

/// `half` is 16 random bits; (half - 32767.5) / 32768 is an odd multiple of 2^-16, so without a centre never zero.
template <class Simd>
inline __attribute__((always_inline)) std::uint16_t random_value(std::uint32_t half, float centre, float spread) {
  const float uniform = (static_cast<float>(static_cast<std::int32_t>(half)) - 32767.5F) * (1.0F / 32768);
  const auto bits = __builtin_bit_cast(std::uint32_t, centre + spread * uniform);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/// Elements 2p and 2p + 1 are the halves of one hash of p.
template <class Simd>
void random_fill(std::uint32_t seed, std::uint64_t first, float centre, float spread, bf16* out, std::size_t size) {
  constexpr std::size_t piece_pairs = 512;
  std::uint16_t values[2 * piece_pairs];
  for (std::uint64_t done = 0; done < size;) {
    const auto pair = (first + done) / 2;
    const auto skip = (first + done) % 2;
    const auto key = __builtin_bswap32(seed) ^ (static_cast<std::uint32_t>(pair >> 32) * 0x9e3779b9U);
    // A piece never crosses a multiple of 2^32 pairs, where the key changes.
    const auto to_key_change = (std::uint64_t{1} << 32) - (pair & 0xffffffffU);
    const auto wanted = (skip + size - done + 1) / 2;
    auto pairs = wanted < piece_pairs ? wanted : piece_pairs;
    if (to_key_change < pairs) pairs = to_key_change;
    for (std::uint32_t i = 0; i < pairs; ++i) {
      const auto word = mix_bits(mix_bits(static_cast<std::uint32_t>(pair) + i + seed) ^ key);
      values[2 * i] = random_value<Simd>(word & 0xffffU, centre, spread);
      values[2 * i + 1] = random_value<Simd>(word >> 16, centre, spread);
    }
    const auto made = 2 * pairs - skip;
    const auto count = made < size - done ? made : size - done;
    for (std::size_t i = 0; i < count; ++i)
      out[done + i].bits = values[skip + i];
    done += count;
  }
}

}  // namespace troupe
