// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace troupe {

/// Memory with one owner. `Kind` says which: `static std::span<std::byte> take(std::size_t bytes)` gives at least so
/// many, or throws memory_error; `static void give_back(std::span<std::byte>)`.
template <class Kind>
class owned_memory {
 public:
  owned_memory() = default;
  explicit owned_memory(std::size_t bytes) : memory_(bytes == 0 ? std::span<std::byte>() : Kind::take(bytes)) {}
  owned_memory(owned_memory&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}
  owned_memory& operator=(owned_memory&& other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~owned_memory() {
    if (!memory_.empty()) Kind::give_back(memory_);
  }

  std::byte* data() const { return memory_.data(); }
  std::size_t bytes() const { return memory_.size(); }

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.data());
  }

 private:
  std::span<std::byte> memory_;
};

}  // namespace troupe
