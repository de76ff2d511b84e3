// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// out[i] = table[tokens[i] - first_token], or zeros for a token that this part of the vocabulary does not have; a
/// negative tokens[i] stands for chosen[-1 - tokens[i]]. All device memory. table: bf16 [table_rows, columns]; tokens:
/// [rows]; out: f32 [rows, columns]; columns a multiple of 8.
void embedding_cuda(const bf16* table, std::int32_t first_token, std::size_t table_rows, std::size_t columns,
                    const std::int32_t* tokens, const std::int32_t* chosen, std::size_t rows, float* out,
                    cuda_stream stream);

}  // namespace troupe
