// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "kernels/cuda/check.cuh"

namespace troupe {

// Programmatic dependent launch: a kernel may start while the one before it on the stream still runs, prefetch what
// that one does not write (weights), then wait for it. Every kernel here calls wait_for_input() before it touches
// anything that another kernel writes, in all threads, so order on the stream is kept from each kernel to the next.

/// Lets the next kernel's blocks start as soon as this one's are all running.
__device__ inline void allow_next_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Returns when the kernel before has ended and what it wrote is visible.
__device__ inline void wait_for_input() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

enum class launch_order {
  overlapped,  ///< may start while the kernel before ends
  after,       ///< starts when everything before has ended; behind what is not a kernel of ours in a capture
};

/// Enqueues a kernel; throws cuda_error naming it. Dynamic shared memory above 48 KiB is the caller's to allow.
template <class... Params, class... Args>
void launch(const char* name, void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes,
            cudaStream_t stream, launch_order order, Args&&... args) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = order == launch_order::overlapped ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(std::forward<Args>(args))...), name);
}

template <class... Params, class... Args>
requires(sizeof...(Params) == sizeof...(Args)) void launch(const char* name, void (*kernel)(Params...), dim3 grid,
                                                           dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                                                           Args&&... args) {
  launch(name, kernel, grid, block, shared_bytes, stream, launch_order::overlapped, std::forward<Args>(args)...);
}

}  // namespace troupe
