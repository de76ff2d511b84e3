// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/kernel_table.hpp"

#include "kernels/cpu/cpu_features.hpp"

namespace troupe {

const cpu_kernels* find_cpu_kernels(isa which) {
  const auto features = detect_cpu_features();
  switch (which) {
    case isa::portable:
      return portable_kernels();
    case isa::avx2:
      return features.avx2_fma ? avx2_kernels() : nullptr;
    case isa::avx512:
      return features.avx512 ? avx512_kernels() : nullptr;
    case isa::amx:
      return features.avx512 && features.amx_bf16 ? amx_kernels() : nullptr;
  }
  return nullptr;
}

}  // namespace troupe
