// SPDX-License-Identifier: Apache-2.0
#include "kernels/kv_write.hpp"

namespace troupe {

void kv_write(const execution& on, const_tensor keys, const_tensor values, std::span<const std::int64_t> slots,
              const kv_layer& cache) {
  if (on.kind() != device_kind::cpu) throw device_error("kv_write");
  kv_write_cpu(on.cpu(), keys, values, slots, cache);
}

}  // namespace troupe
