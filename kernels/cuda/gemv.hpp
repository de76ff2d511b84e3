// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/l2_prefetch.hpp"
#include "kernels/cuda/peer_exchange.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// A product with one row of x, with what comes before and after it fused in. All pointers are device memory.
/// weight: bf16 [rows, columns], columns a multiple of 8.
struct gemv_call {
  const bf16* weight;
  std::size_t rows;
  std::size_t columns;

  // x is one of these two.
  const bf16* x = nullptr;          ///< [columns]
  const float* residual = nullptr;  ///< [columns]; x = rms_norm(residual) * norm, made in every block anew
  const bf16* norm = nullptr;       ///< [columns]
  float epsilon = 0;

  // The result goes to one of these.
  bf16* out = nullptr;           ///< [rows]: the product, plus `bias` where there is one
  const bf16* bias = nullptr;    ///< [rows] or null
  float* out_f32 = nullptr;      ///< [rows]
  float* accumulated = nullptr;  ///< [rows]: the product is added
  bf16* gated = nullptr;         ///< [rows / 2]: silu(first half of the rows) * second half

  l2_prefetch next{};  ///< asked for by products so small that their weights are all fetched at once
};

/// The weights that a call reads first.
l2_prefetch first_weights(const gemv_call& call);

/// Columns that gemv_cuda can take.
inline constexpr std::size_t gemv_columns_max = 28672;

/// Reads the weights once, at the speed of memory. Each warp sums a slice of the columns for several rows, the block
/// adds the slices, in an order that depends on `columns` alone.
void gemv_cuda(const gemv_call& call, cuda_stream stream);

/// The same; what goes to out_f32 is sent to the other ranks as well.
void gemv_send_cuda(const gemv_call& call, const peer_exchange& send, cuda_stream stream);

}  // namespace troupe
