// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// One product of a matmul: out[i][n] = bias[n] + sum over k of x[i][k] * weight[n][k].
struct matmul_part {
  const_tensor weight;  ///< bf16 [n, k]
  const_tensor bias;    ///< bf16 [1, n], or empty
  tensor out;           ///< f32 [rows of x, n]
};

/// Several products with the same x, as one parallel loop. x: f32 [rows, k]. The sums are float32 in an order that
/// depends on k only, so a row's result is the same bits whatever the other rows, the parts and the threads.
void matmul(const execution& on, const_tensor x, std::span<const matmul_part> parts);

void matmul_cpu(const cpu_device& device, const_tensor x, std::span<const matmul_part> parts);

}  // namespace troupe
