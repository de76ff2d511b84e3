// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/file_mapping.hpp"

#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/model/errors.hpp"

namespace troupe {

file_mapping::file_mapping(const std::filesystem::path& file) {
  const auto fail = [&](const char* what) {
    return weights_error(fmt::format("{}: {}: {}", file.string(), what, std::strerror(errno)));
  };
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw fail("cannot be opened");
  struct stat status {};
  void* memory = MAP_FAILED;
  const bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
  if (regular) memory = mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (!regular) throw weights_error(fmt::format("{}: it is empty or not a regular file", file.string()));
  if (memory == MAP_FAILED) throw fail("cannot be mapped");
  data_ = static_cast<const std::byte*>(memory);
  bytes_ = static_cast<std::size_t>(status.st_size);
}

file_mapping::~file_mapping() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), bytes_);
}

}  // namespace troupe
