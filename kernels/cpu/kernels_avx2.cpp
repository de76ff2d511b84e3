// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX2 and FMA; called only where detect_cpu_features() finds them. The same sums as with AVX-512.
#include <immintrin.h>

#include "kernels/cpu/make_kernels.hpp"

namespace troupe {

namespace {

struct simd {
  struct reg {
    __m256 low, high;
  };
  static constexpr int tile_weight_rows = 2;
  static constexpr int tile_x_rows = 3;
  static constexpr int prefetch_columns = 1024;

  static __m256 widen(__m128i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }

  static reg zero() { return set(0); }
  static reg set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static reg load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static reg load(const bf16* p) {
    const auto* from = reinterpret_cast<const __m128i*>(p);
    return {widen(_mm_loadu_si128(from)), widen(_mm_loadu_si128(from + 1))};
  }
  template <class T>
  static reg load_partial(const T* p, std::size_t count) {
    alignas(32) T padded[16] = {};
    for (std::size_t i = 0; i < count; ++i)
      padded[i] = p[i];
    return load(padded);
  }
  static void store(float* p, reg x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
  }
  static void store_partial(float* p, reg x, std::size_t count) {
    alignas(32) float all[16];
    store(all, x);
    for (std::size_t i = 0; i < count; ++i)
      p[i] = all[i];
  }

  static reg fma(reg a, reg b, reg c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static reg add(reg a, reg b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static reg sub(reg a, reg b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static reg mul(reg a, reg b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static reg div(reg a, reg b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static reg max(reg a, reg b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static reg min(reg a, reg b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
  static __m256 round(__m256 x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static reg round(reg x) { return {round(x.low), round(x.high)}; }
  /// 2^n by its exponent bits; n from -126 to 127.
  static __m256 power_of_two(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
  static reg times_power_of_two(reg x, reg n) { return mul(x, {power_of_two(n.low), power_of_two(n.high)}); }
  static __m256 zero_where_less(__m256 x, __m256 limit, __m256 value) {
    return _mm256_and_ps(_mm256_cmp_ps(x, limit, _CMP_NLT_UQ), value);
  }
  static reg zero_where_less(reg x, reg limit, reg value) {
    return {zero_where_less(x.low, limit.low, value.low), zero_where_less(x.high, limit.high, value.high)};
  }

  static float sum(reg x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float maximum(reg x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
};

constexpr cpu_kernels kernels = make_kernels<simd>();

}  // namespace

const cpu_kernels* avx2_kernels() { return &kernels; }

}  // namespace troupe
