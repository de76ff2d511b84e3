// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/device_buffer.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// Values on a device, for tests: copied there at once, and back when asked.
template <class T>
class device_array {
 public:
  device_array(const cuda_device& device, const std::vector<T>& values)
      : device_(&device), size_(values.size()), memory_(values.size() * sizeof(T) + 1) {
    copy_to_device(memory_.data(), values.data(), size_ * sizeof(T), device.stream());
    synchronize(device.stream());
  }
  /// Filled with bytes that make numbers no kernel writes, so that what is not written is seen.
  device_array(const cuda_device& device, std::size_t size) : device_array(device, std::vector<T>(size, poison())) {}

  T* get() const { return memory_.template as<T>(); }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    copy_to_host(values.data(), memory_.data(), size_ * sizeof(T), device_->stream());
    synchronize(device_->stream());
    return values;
  }

 private:
  static T poison() {
    T value;
    auto* bytes = reinterpret_cast<unsigned char*>(&value);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes[i] = 0xff;
    return value;
  }

  const cuda_device* device_;
  std::size_t size_;
  device_buffer memory_;
};

inline std::vector<float> widened(const std::vector<bf16>& values) {
  std::vector<float> result;
  for (auto x : values)
    result.push_back(to_float(x));
  return result;
}

inline std::vector<bf16> narrowed(const std::vector<float>& values) {
  std::vector<bf16> result;
  for (auto x : values)
    result.push_back(to_bf16(x));
  return result;
}

}  // namespace troupe

/// Ends the test as skipped, not passed, where there is no device.
#define NEEDS_CUDA_DEVICE() \
  if (troupe::count_cuda_devices() == 0) SKIP("this machine has no CUDA device")

#define NEEDS_CUDA_DEVICES(count)             \
  if (troupe::count_cuda_devices() < (count)) \
  SKIP("this machine has " << troupe::count_cuda_devices() << " CUDA devices; " << (count) << " are needed")
