// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/l2_prefetch.hpp"

namespace troupe {

__device__ inline void prefetch_stretch(const void* from, std::uint32_t begin, std::uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(static_cast<const char*>(from) + begin), "r"(bytes)
               : "memory");
#endif
}

/// Block `block` of `blocks` asks for its share, by one thread.
__device__ inline void prefetch_share(const l2_prefetch& what, unsigned block, unsigned blocks) {
  if (threadIdx.x != 0 || what.bytes == 0) return;
  const std::uint32_t share = ((what.bytes + blocks - 1) / blocks + 127) / 128 * 128;
  const std::uint32_t begin = block * share;
  if (begin >= what.bytes) return;
  const std::uint32_t bytes = min(share, what.bytes - begin);
  prefetch_stretch(what.first, begin, bytes);
  if (what.second != nullptr) prefetch_stretch(what.second, begin, bytes);
}

}  // namespace troupe
