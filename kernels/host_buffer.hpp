// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include "kernels/owned_memory.hpp"

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

struct host_memory {
  static std::span<std::byte> take(std::size_t bytes);
  static void give_back(std::span<std::byte> memory);
};

/// Page-aligned zeroed host memory, in huge pages where the system gives them: long weight streams need few TLB
/// entries. Making one throws memory_error when the machine has not so much left.
using host_buffer = owned_memory<host_memory>;

/// Takes a part of the memory now, not at its first use; `offset` is a multiple of the page size.
void populate(const host_buffer& memory, std::size_t offset, std::size_t bytes);

}  // namespace troupe
