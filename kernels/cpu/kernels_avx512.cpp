// SPDX-License-Identifier: Apache-2.0
// Compiled for AVX-512 F, BW, DQ, VL; called only where detect_cpu_features() finds them.
#include <immintrin.h>

#include "kernels/cpu/make_kernels.hpp"

namespace troupe {

namespace {

struct simd {
  using reg = __m512;
  static constexpr int tile_weight_rows = 4;
  static constexpr int tile_x_rows = 6;
  static constexpr int prefetch_columns = 1024;

  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>((1U << count) - 1U); }
  static reg widen(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }

  static reg zero() { return _mm512_setzero_ps(); }
  static reg set(float x) { return _mm512_set1_ps(x); }
  static reg load(const float* p) { return _mm512_loadu_ps(p); }
  static reg load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static reg load_partial(const float* p, std::size_t count) { return _mm512_maskz_loadu_ps(mask(count), p); }
  static reg load_partial(const bf16* p, std::size_t count) {
    return widen(_mm256_maskz_loadu_epi16(mask(count), reinterpret_cast<const __m256i*>(p)));
  }
  static void store(float* p, reg x) { _mm512_storeu_ps(p, x); }
  static void store_partial(float* p, reg x, std::size_t count) { _mm512_mask_storeu_ps(p, mask(count), x); }

  static reg fma(reg a, reg b, reg c) { return _mm512_fmadd_ps(a, b, c); }
  static reg add(reg a, reg b) { return _mm512_add_ps(a, b); }
  static reg sub(reg a, reg b) { return _mm512_sub_ps(a, b); }
  static reg mul(reg a, reg b) { return _mm512_mul_ps(a, b); }
  static reg div(reg a, reg b) { return _mm512_div_ps(a, b); }
  static reg max(reg a, reg b) { return _mm512_max_ps(a, b); }
  static reg min(reg a, reg b) { return _mm512_min_ps(a, b); }
  static reg round(reg x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static reg times_power_of_two(reg x, reg n) { return _mm512_scalef_ps(x, n); }
  static reg zero_where_less(reg x, reg limit, reg value) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), value);
  }

  static float sum(reg x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float maximum(reg x) { return _mm512_reduce_max_ps(x); }
};

constexpr cpu_kernels kernels = make_kernels<simd>();

}  // namespace

const cpu_kernels* avx512_kernels() { return &kernels; }

}  // namespace troupe
