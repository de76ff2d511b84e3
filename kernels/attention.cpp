// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.hpp"

namespace troupe {

void attention(const execution& on, const_tensor query, std::span<const attention_sequence> sequences,
               const kv_layer& cache, float scale, tensor out) {
  if (on.kind() != device_kind::cpu) throw device_error("attention");
  attention_cpu(on.cpu(), query, sequences, cache, scale, out);
}

}  // namespace troupe
