// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/cpu/parallel_rows.hpp"
#include "kernels/embedding.hpp"

namespace troupe {

void embedding_cpu(const cpu_device& device, const_tensor table, std::int32_t first_token,
                   std::span<const std::int32_t> tokens, tensor out) {
  assert(tokens.size() <= out.rows && table.columns == out.columns);
  parallel_rows(device, tokens.size(), out.columns, [&](std::size_t i) {
    auto* to = out.row<float>(i);
    const auto index = std::int64_t{tokens[i]} - first_token;
    if (index >= 0 && index < static_cast<std::int64_t>(table.rows))
      device.kernels().widen(table.row<bf16>(static_cast<std::size_t>(index)), to, out.columns);
    else
      std::fill_n(to, out.columns, 0.0F);
  });
}

}  // namespace troupe
