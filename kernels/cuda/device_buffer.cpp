// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/device_buffer.hpp"

#include <string>

#include "kernels/cuda/check.cuh"
#include "kernels/host_buffer.hpp"

namespace troupe {

device_buffer::device_buffer(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) != cudaSuccess) {
    cudaGetLastError();  // the failure is told here, not by the next call
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw memory_error("cannot allocate " + std::to_string(bytes >> 20) + " MiB on the device: " +
                       std::to_string(free >> 20) + " MiB of " + std::to_string(total >> 20) + " MiB are free");
  }
  data_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
}

device_buffer::~device_buffer() {
  if (data_ != nullptr) cudaFree(data_);
}

pinned_buffer::pinned_buffer(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  if (cudaMallocHost(&memory, bytes) != cudaSuccess) {
    cudaGetLastError();
    throw memory_error("cannot lock " + std::to_string(bytes >> 20) + " MiB of host memory");
  }
  data_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
}

pinned_buffer::~pinned_buffer() {
  if (data_ != nullptr) cudaFreeHost(data_);
}

}  // namespace troupe
