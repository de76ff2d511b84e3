// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cpu/attention_tiles.hpp"
#include "kernels/cpu/elementwise.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/matmul_tiles.hpp"
#include "kernels/cpu/random_fill.hpp"

namespace troupe {

/// `Simd` must be local to its translation unit: then so is all code made from it, and the linker cannot put code for a
/// newer processor where an older one runs it. For the same reason none of it calls a library function.
template <class Simd>
constexpr cpu_kernels make_kernels() {
  return {nullptr,
          nullptr,
          matmul_rows<Simd>,
          attend<Simd, float>,
          attend<Simd, bf16>,
          rms_norm_row<Simd>,
          add_row<Simd>,
          rope_head<Simd>,
          silu_mul_row<Simd>,
          widen_row<Simd>,
          arg_max_row<Simd>,
          exponentials_row<Simd>,
          random_fill<Simd>};
}

}  // namespace troupe
