// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/device_buffer.hpp"

#include <string>

#include "kernels/cuda/check.cuh"
#include "kernels/host_buffer.hpp"

namespace troupe {

std::span<std::byte> device_memory::take(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) != cudaSuccess) {
    cudaGetLastError();  // the failure is told here, not by the next call
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw memory_error("cannot allocate " + std::to_string(bytes >> 20) + " MiB on the device: " +
                       std::to_string(free >> 20) + " MiB of " + std::to_string(total >> 20) + " MiB are free");
  }
  return {static_cast<std::byte*>(memory), bytes};
}

void device_memory::give_back(std::span<std::byte> memory) { cudaFree(memory.data()); }

std::span<std::byte> pinned_memory::take(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMallocHost(&memory, bytes) != cudaSuccess) {
    cudaGetLastError();
    throw memory_error("cannot lock " + std::to_string(bytes >> 20) + " MiB of host memory");
  }
  return {static_cast<std::byte*>(memory), bytes};
}

void pinned_memory::give_back(std::span<std::byte> memory) { cudaFreeHost(memory.data()); }

}  // namespace troupe
