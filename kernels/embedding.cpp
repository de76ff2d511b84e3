// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding.hpp"

namespace troupe {

void embedding(const execution& on, const_tensor table, std::int32_t first_token, std::span<const std::int32_t> tokens,
               tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("embedding");
  embedding_cpu(on.cpu(), table, first_token, tokens, out);
}

}  // namespace troupe
