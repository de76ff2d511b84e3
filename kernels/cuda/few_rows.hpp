// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/gemm.hpp"
#include "kernels/cuda/l2_prefetch.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// A product with a few rows of x, with what comes after it fused in. All pointers are device memory, rows without
/// gaps. weight: bf16 [rows, columns], columns a multiple of 8.
struct few_rows_call {
  const bf16* weight;
  std::size_t rows;
  std::size_t columns;
  const bf16* x;  ///< [m, columns]
  std::size_t m;  ///< at most few_rows_max

  // The result goes to one of these.
  bf16* out = nullptr;           ///< [m, rows]: the product, plus `bias` where there is one
  const bf16* bias = nullptr;    ///< [rows] or null
  float* out_f32 = nullptr;      ///< [m, rows]
  float* accumulated = nullptr;  ///< [m, rows]: the product is added
  bf16* gated = nullptr;         ///< [m, rows / 2]: silu(first half of the rows) * second half
};

/// Rows of x that few_rows_cuda can take: the narrow side of a tensor core's tile.
inline constexpr std::size_t few_rows_max = 8;

/// Whether it can take a product, and the product as it wants it.
inline bool is_few(const gemm_call& call) { return call.m <= few_rows_max; }
few_rows_call few_rows_of(const gemm_call& call);

/// The weights that a call reads first.
l2_prefetch first_weights(const few_rows_call& call);

/// Reads the weights once, at the speed of memory: they go from memory into the registers that the tensor cores want,
/// with no shared memory between. The warps of a block share the columns; the order in which a value is summed depends
/// on `columns` alone.
void few_rows_cuda(const few_rows_call& call, cuda_stream stream);

}  // namespace troupe
