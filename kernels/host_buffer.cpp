// SPDX-License-Identifier: Apache-2.0
#include "kernels/host_buffer.hpp"

#include <fstream>
#include <limits>

#include <sys/mman.h>

namespace troupe {

namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
constexpr int populate_write = 23;  // MADV_POPULATE_WRITE of Linux 5.14; older systems refuse it and fill on first use

memory_error too_little(std::size_t bytes) {
  return memory_error("cannot allocate " + std::to_string(bytes >> 20) + " MiB: the machine has " +
                      std::to_string(host_memory_available() >> 20) + " MiB left");
}

}  // namespace

std::uint64_t host_memory_available() {
  std::ifstream stream("/proc/meminfo");
  std::string key;
  for (std::uint64_t kib = 0; stream >> key >> kib; stream.ignore(64, '\n'))
    if (key == "MemAvailable:") return kib * 1024;
  return std::numeric_limits<std::uint64_t>::max();  // unknown: let the system decide
}

std::span<std::byte> host_memory::take(std::size_t bytes) {
  // Filling more than there is would have the system kill some process, maybe another one.
  if (bytes >= huge_page_bytes && bytes > host_memory_available()) throw too_little(bytes);
  const auto all = bytes < huge_page_bytes ? bytes : (bytes + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  void* memory = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw too_little(bytes);
  madvise(memory, all, MADV_HUGEPAGE);  // best effort: without it everything works, only slower
  return {static_cast<std::byte*>(memory), all};
}

void host_memory::give_back(std::span<std::byte> memory) { munmap(memory.data(), memory.size()); }

void populate(const host_buffer& memory, std::size_t offset, std::size_t bytes) {
  madvise(memory.data() + offset, bytes, populate_write);
}

}  // namespace troupe
