// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/cpu_features.hpp"

namespace troupe {

cpu_features detect_cpu_features() {
  __builtin_cpu_init();  // checks cpuid and, for the wide registers, xgetbv
  cpu_features features;
  features.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return features;
}

}  // namespace troupe
