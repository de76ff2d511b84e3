// SPDX-License-Identifier: Apache-2.0
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/cpu_features.hpp"

namespace troupe {

namespace {

bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned bf16_bit = 1U << 22;
  constexpr unsigned tile_bit = 1U << 24;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & bf16_bit) != 0 && (d & tile_bit) != 0;
}

/// Linux saves the tiles only of processes that asked for it; asking again does no harm.
bool may_use_tiles() {
  constexpr long request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long tile_data = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace

cpu_features detect_cpu_features() {
  __builtin_cpu_init();  // checks cpuid and, for the wide registers, xgetbv
  cpu_features features;
  features.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  features.amx_bf16 = has_amx_bf16() && may_use_tiles();
  return features;
}

}  // namespace troupe
