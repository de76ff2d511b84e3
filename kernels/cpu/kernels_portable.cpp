// SPDX-License-Identifier: Apache-2.0
// Plain C++ with the compilers' vector extension: runs on any processor, and shows the other files what they must give.
#include "kernels/cpu/make_kernels.hpp"

namespace troupe {

namespace {

struct simd {
  using four = float __attribute__((vector_size(16)));
  using four_int = std::int32_t __attribute__((vector_size(16)));
  struct reg {
    four part[4];
  };
  static constexpr int tile_weight_rows = 2;
  static constexpr int tile_x_rows = 2;
  static constexpr int prefetch_columns = 1024;

  template <class Function>
  static reg each(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
  }

  static reg zero() { return set(0); }
  static reg set(float x) {
    return each([&](int) { return four{x, x, x, x}; });
  }
  static reg load(const float* p) {
    reg result;
    __builtin_memcpy(&result, p, sizeof(result));
    return result;
  }
  static four widen(const bf16* p) {
    const four_int bits = {p[0].bits, p[1].bits, p[2].bits, p[3].bits};
    return reinterpret_cast<four>(bits << 16);
  }
  static reg load(const bf16* p) {
    return each([&](int i) { return widen(p + 4 * i); });
  }
  template <class T>
  static reg load_partial(const T* p, std::size_t count) {
    T padded[16] = {};
    for (std::size_t i = 0; i < count; ++i)
      padded[i] = p[i];
    return load(padded);
  }
  static void store(float* p, reg x) { __builtin_memcpy(p, &x, sizeof(x)); }
  static void store_partial(float* p, reg x, std::size_t count) { __builtin_memcpy(p, &x, count * sizeof(float)); }

  /// Two roundings, not one: a fused multiply-add without hardware for it is a slow library call.
  static reg fma(reg a, reg b, reg c) {
    return each([&](int i) { return a.part[i] * b.part[i] + c.part[i]; });
  }
  static reg add(reg a, reg b) {
    return each([&](int i) { return a.part[i] + b.part[i]; });
  }
  static reg sub(reg a, reg b) {
    return each([&](int i) { return a.part[i] - b.part[i]; });
  }
  static reg mul(reg a, reg b) {
    return each([&](int i) { return a.part[i] * b.part[i]; });
  }
  static reg div(reg a, reg b) {
    return each([&](int i) { return a.part[i] / b.part[i]; });
  }
  static reg max(reg a, reg b) {
    return each([&](int i) { return a.part[i] > b.part[i] ? a.part[i] : b.part[i]; });
  }
  static reg min(reg a, reg b) {
    return each([&](int i) { return a.part[i] < b.part[i] ? a.part[i] : b.part[i]; });
  }
  /// For |x| below 2^22: adding 1.5 * 2^23 leaves no bit below one.
  static reg round(reg x) {
    const four magic = {12582912.0F, 12582912.0F, 12582912.0F, 12582912.0F};
    return each([&](int i) { return (x.part[i] + magic) - magic; });
  }
  static four power_of_two(four n) {
    return reinterpret_cast<four>((__builtin_convertvector(n, four_int) + 127) << 23);
  }
  static reg times_power_of_two(reg x, reg n) {
    return each([&](int i) { return x.part[i] * power_of_two(n.part[i]); });
  }
  static reg zero_where_less(reg x, reg limit, reg value) {
    return each([&](int i) { return x.part[i] < limit.part[i] ? four{} : value.part[i]; });
  }

  static float sum(reg x) {
    const four a = (x.part[0] + x.part[2]) + (x.part[1] + x.part[3]);
    return (a[0] + a[2]) + (a[1] + a[3]);
  }
  static float maximum(reg x) {
    float result = x.part[0][0];
    for (const auto& part : x.part)
      for (int i = 0; i < 4; ++i)
        if (part[i] > result) result = part[i];
    return result;
  }
};

constexpr cpu_kernels kernels = make_kernels<simd>();

}  // namespace

const cpu_kernels* portable_kernels() { return &kernels; }

}  // namespace troupe
