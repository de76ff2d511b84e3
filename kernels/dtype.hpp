// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace troupe {

/// The upper half of a float32. Arithmetic is done in float32; this is how weights are stored.
struct bf16 {
  std::uint16_t bits = 0;
  friend bool operator==(const bf16&, const bf16&) = default;
};

inline float to_float(bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

/// Rounds to nearest, ties to even; a NaN stays a NaN.
inline bf16 to_bf16(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

/// Element types that tensors are made of.
enum class dtype : std::uint8_t { bf16, f32 };

constexpr std::size_t size_of(dtype type) { return type == dtype::bf16 ? 2 : 4; }
constexpr const char* to_string(dtype type) { return type == dtype::bf16 ? "bfloat16" : "float32"; }

template <class T>
struct dtype_of_type;
template <>
struct dtype_of_type<bf16> {
  static constexpr dtype value = dtype::bf16;
};
template <>
struct dtype_of_type<float> {
  static constexpr dtype value = dtype::f32;
};

}  // namespace troupe
