// SPDX-License-Identifier: Apache-2.0
#include "kernels/host_buffer.hpp"

#include <new>

#include <sys/mman.h>

namespace troupe {

namespace {
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
}

host_buffer::host_buffer(std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes > ~std::size_t{0} - huge_page_bytes) throw std::bad_alloc();
  // Anonymous mappings are only page-aligned; the kernel uses huge pages for the aligned part, which is nearly all of
  // it.
  bytes_ = bytes < huge_page_bytes ? bytes : (bytes + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    bytes_ = 0;
    throw std::bad_alloc();
  }
  madvise(memory, bytes_, MADV_HUGEPAGE);  // best effort: without it everything works, only slower
  data_ = static_cast<std::byte*>(memory);
}

host_buffer::~host_buffer() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace troupe
