// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// e^x with a relative error below 3e-7; exactly 1 at 0; exactly 0 below -87, so a masked score weighs nothing.
template <class Simd>
inline __attribute__((always_inline)) typename Simd::reg exponential(typename Simd::reg x) {
  const auto low = Simd::set(-87.0F);
  const auto clamped = Simd::min(Simd::max(x, low), Simd::set(88.0F));
  const auto n = Simd::round(Simd::mul(clamped, Simd::set(1.44269504F)));
  // x - n ln 2, with ln 2 in two parts so that the product n * high is exact.
  auto r = Simd::fma(n, Simd::set(-0.693359375F), clamped);
  r = Simd::fma(n, Simd::set(2.12194440e-4F), r);
  auto p = Simd::set(1.0F / 720);
  p = Simd::fma(p, r, Simd::set(1.0F / 120));
  p = Simd::fma(p, r, Simd::set(1.0F / 24));
  p = Simd::fma(p, r, Simd::set(1.0F / 6));
  p = Simd::fma(p, r, Simd::set(0.5F));
  p = Simd::fma(p, r, Simd::set(1.0F));
  p = Simd::fma(p, r, Simd::set(1.0F));
  return Simd::zero_where_less(x, low, Simd::times_power_of_two(p, n));
}

}  // namespace troupe
