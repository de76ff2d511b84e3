// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// out[i][n] = bias[n] + sum over k of x[i][k] * weight[n][k], for the rows n of `weight` that a call names.
struct matmul_call {
  const float* x;
  std::size_t x_stride;
  std::size_t x_rows;
  std::size_t columns;  ///< length of the sum
  const bf16* weight;
  std::size_t weight_stride;
  const bf16* bias;  ///< or null
  float* out;
  std::size_t out_stride;
  const void* packed = nullptr;  ///< x as pack_group left it, where the kernels have one
};

/// Causal attention of some tokens of one sequence, for the query heads that share one key/value head.
struct attention_call {
  const float* query;  ///< first token, first of the heads; heads follow each other
  std::size_t query_stride;
  float* out;
  std::size_t out_stride;
  std::size_t heads;
  std::size_t head_size;
  float scale;
  std::size_t position;  ///< of the first token
  std::size_t tokens;
  const void* keys;  ///< block 0, this head (kv_cache.hpp has the layout)
  const void* values;
  std::size_t block_stride;  ///< elements from one block to the next
  std::size_t block_tokens;
  const std::int32_t* blocks;
};

/// The inner loops of the ops, built once for each instruction set. They run on the calling thread.
struct cpu_kernels {
  /// Null, or what `matmul` wants done before: x packed in groups of 16 rows, each by one call, into packed_bytes.
  std::size_t (*packed_bytes)(std::size_t x_rows, std::size_t columns);
  void (*pack_group)(const matmul_call& call, std::size_t group, void* packed);
  void (*matmul)(const matmul_call& call, std::size_t row_begin, std::size_t row_end);
  void (*attention_f32)(const attention_call& call);
  void (*attention_bf16)(const attention_call& call);
  /// out = x / rms(x) * weight. out may be x.
  void (*rms_norm)(const float* x, const bf16* weight, float epsilon, std::size_t size, float* out);
  void (*add)(float* into, const float* delta, std::size_t size);
  /// Rotates the pairs (x[i], x[i + half]) by the angles whose cosines and sines are given; head_size is even.
  void (*rope)(float* x, const float* cosines, const float* sines, std::size_t head_size);
  /// out = gate * sigmoid(gate) * up. out may be gate.
  void (*silu_mul)(const float* gate, const float* up, float* out, std::size_t size);
  void (*widen)(const bf16* x, float* out, std::size_t size);
  /// The lowest index of the greatest value; NaNs are never chosen.
  std::size_t (*arg_max)(const float* x, std::size_t size);
  /// out = e^((x - shift) * scale)
  void (*exponentials)(const float* x, float shift, float scale, float* out, std::size_t size);
  /// out[i] = centre + spread * u, u in (-1, 1) a hash of `seed` and of index first + i (random_fill.hpp).
  void (*random_fill)(std::uint32_t seed, std::uint64_t first, float centre, float spread, bf16* out, std::size_t size);
};

/// Null when this build or this machine does not have it.
const cpu_kernels* find_cpu_kernels(isa which);

// Each defined in the file of its instruction set; null in builds for other processors.
const cpu_kernels* portable_kernels();
const cpu_kernels* avx2_kernels();
const cpu_kernels* avx512_kernels();
const cpu_kernels* amx_kernels();

}  // namespace troupe
