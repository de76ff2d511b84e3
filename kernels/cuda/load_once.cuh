// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/dtype.hpp"

namespace troupe {

/// Weights are read once: they must not drive anything out of the caches.
__device__ inline uint4 load_once(const bf16* from) {
  uint4 x;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(from));
  return x;
}

}  // namespace troupe
