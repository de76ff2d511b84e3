// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/owned_memory.hpp"

namespace troupe {

struct device_memory {
  static std::span<std::byte> take(std::size_t bytes);
  static void give_back(std::span<std::byte> memory);
};

struct pinned_memory {
  static std::span<std::byte> take(std::size_t bytes);
  static void give_back(std::span<std::byte> memory);
};

/// Memory of the current device. Not initialised.
using device_buffer = owned_memory<device_memory>;

/// Page-locked host memory: copies between it and a device run in the background.
using pinned_buffer = owned_memory<pinned_memory>;

}  // namespace troupe
