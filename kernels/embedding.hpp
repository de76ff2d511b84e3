// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "kernels/execution.hpp"
#include "kernels/tensor.hpp"

namespace troupe {

/// out[i] = table[tokens[i] - first_token], or zeros for a token that this part of the vocabulary does not have.
/// table: bf16 [vocabulary part, size]; out: f32 [tokens, size].
void embedding(const execution& on, const_tensor table, std::int32_t first_token, std::span<const std::int32_t> tokens,
               tensor out);

void embedding_cpu(const cpu_device& device, const_tensor table, std::int32_t first_token,
                   std::span<const std::int32_t> tokens, tensor out);

}  // namespace troupe
