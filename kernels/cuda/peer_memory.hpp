// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/cuda/device_buffer.hpp"

namespace troupe {

/// What another rank needs to reach a device_buffer: by its address in the same process, by its handle in another.
/// Plain bytes, to be sent.
struct shared_memory_card {
  std::array<std::byte, 64> handle{};
  std::uint64_t address = 0;
  std::int32_t device = 0;
  std::int32_t usable = 0;  ///< 0: the device cannot share memory
};

/// For the current device.
shared_memory_card share_memory(const device_buffer& memory);

/// Another rank's device_buffer, within reach of the current device.
class peer_memory {
 public:
  peer_memory() = default;
  /// Without data where the devices do not reach each other.
  peer_memory(const shared_memory_card& card, bool same_process);
  peer_memory(peer_memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), mapped_(std::exchange(other.mapped_, false)) {}
  peer_memory& operator=(peer_memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~peer_memory();

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  bool mapped_ = false;
};

}  // namespace troupe
