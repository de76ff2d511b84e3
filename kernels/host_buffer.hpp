// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

namespace troupe {

/// Too little memory, with what was asked and what there is.
class memory_error : public std::bad_alloc {
 public:
  explicit memory_error(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Bytes that can still be allocated without driving anything out of memory (Linux: MemAvailable).
std::uint64_t host_memory_available();

/// Page-aligned zeroed host memory, in huge pages where the system gives them: long weight streams need few TLB
/// entries.
class host_buffer {
 public:
  host_buffer() = default;
  /// Throws memory_error when the machine has not so much left.
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

  /// Takes a part of the memory now, not at its first use; `offset` is a multiple of the page size.
  void populate(std::size_t offset, std::size_t bytes) const;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace troupe
