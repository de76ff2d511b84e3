// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cpu/exponential.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// Calls body(offset, count) for whole vectors of 16, then once for the rest.
template <class Body>
inline __attribute__((always_inline)) void for_vectors(std::size_t size, Body&& body) {
  std::size_t i = 0;
  for (; i + 16 <= size; i += 16)
    body(i, std::size_t{16});
  if (i < size) body(i, size - i);
}

template <class Simd, class T>
inline __attribute__((always_inline)) typename Simd::reg load_some(const T* from, std::size_t count) {
  return count == 16 ? Simd::load(from) : Simd::load_partial(from, count);
}

template <class Simd>
inline __attribute__((always_inline)) void store_some(float* to, typename Simd::reg value, std::size_t count) {
  if (count == 16)
    Simd::store(to, value);
  else
    Simd::store_partial(to, value, count);
}

template <class Simd>
void rms_norm_row(const float* x, const bf16* weight, float epsilon, std::size_t size, float* out) {
  auto squares = Simd::zero();
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    const auto value = load_some<Simd>(x + i, count);
    squares = Simd::fma(value, value, squares);
  });
  const float mean = Simd::sum(squares) / static_cast<float>(size);
  const auto scale = Simd::set(1.0F / __builtin_sqrtf(mean + epsilon));
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    const auto normed = Simd::mul(load_some<Simd>(x + i, count), scale);
    store_some<Simd>(out + i, Simd::mul(normed, load_some<Simd>(weight + i, count)), count);
  });
}

template <class Simd>
void add_row(float* into, const float* delta, std::size_t size) {
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    store_some<Simd>(into + i, Simd::add(load_some<Simd>(into + i, count), load_some<Simd>(delta + i, count)), count);
  });
}

template <class Simd>
void rope_head(float* x, const float* cosines, const float* sines, std::size_t head_size) {
  const auto half = head_size / 2;
  for_vectors(half, [&](std::size_t i, std::size_t count) {
    const auto a = load_some<Simd>(x + i, count);
    const auto b = load_some<Simd>(x + half + i, count);
    const auto c = load_some<Simd>(cosines + i, count);
    const auto s = load_some<Simd>(sines + i, count);
    store_some<Simd>(x + i, Simd::sub(Simd::mul(a, c), Simd::mul(b, s)), count);
    store_some<Simd>(x + half + i, Simd::add(Simd::mul(b, c), Simd::mul(a, s)), count);
  });
}

template <class Simd>
void silu_mul_row(const float* gate, const float* up, float* out, std::size_t size) {
  const auto one = Simd::set(1.0F);
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    const auto g = load_some<Simd>(gate + i, count);
    const auto denominator = Simd::add(one, exponential<Simd>(Simd::sub(Simd::zero(), g)));
    const auto value = Simd::mul(Simd::div(g, denominator), load_some<Simd>(up + i, count));
    store_some<Simd>(out + i, value, count);
  });
}

template <class Simd>
void widen_row(const bf16* x, float* out, std::size_t size) {
  for_vectors(
      size, [&](std::size_t i, std::size_t count) { store_some<Simd>(out + i, load_some<Simd>(x + i, count), count); });
}

template <class Simd>
void exponentials_row(const float* x, float shift, float scale, float* out, std::size_t size) {
  const auto shifts = Simd::set(shift);
  const auto scales = Simd::set(scale);
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    const auto value = exponential<Simd>(Simd::mul(Simd::sub(load_some<Simd>(x + i, count), shifts), scales));
    store_some<Simd>(out + i, value, count);
  });
}

template <class Simd>
std::size_t arg_max_row(const float* x, std::size_t size) {
  // The greatest value first, then where it is: both scans are one compare a vector.
  auto greatest = Simd::set(-__builtin_inff());
  for_vectors(size, [&](std::size_t i, std::size_t count) {
    greatest = count == 16 ? Simd::max(Simd::load(x + i), greatest) : greatest;
  });
  float best = Simd::maximum(greatest);
  for (auto i = size - size % 16; i < size; ++i)
    if (x[i] > best) best = x[i];
  for (std::size_t i = 0; i < size; ++i)
    if (x[i] == best) return i;
  return 0;
}

}  // namespace troupe
