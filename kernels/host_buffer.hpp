// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

namespace troupe {

/// Page-aligned zeroed host memory, in huge pages where the system gives them: long weight streams need few TLB
/// entries.
class host_buffer {
 public:
  host_buffer() = default;
  /// Throws std::bad_alloc.
  explicit host_buffer(std::size_t bytes);
  host_buffer(host_buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  host_buffer& operator=(host_buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~host_buffer();

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace troupe
