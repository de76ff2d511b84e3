// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// The values of kernels/cpu/random_fill.hpp, bit for bit, for a rectangle: row r of `out` (bf16 [rows, columns],
/// device memory) holds elements first + r * row_stride onwards.
void random_fill_cuda(std::uint32_t seed, std::uint64_t first, std::uint64_t row_stride, float centre, float spread,
                      std::size_t rows, std::size_t columns, bf16* out, cuda_stream stream);

}  // namespace troupe
