// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

namespace troupe {

/// A file mapped for reading.
class file_mapping {
 public:
  /// Throws weights_error when the file cannot be opened, is not a regular file or is empty.
  explicit file_mapping(const std::filesystem::path& file);
  file_mapping(file_mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  file_mapping& operator=(file_mapping&&) = delete;
  ~file_mapping();

  std::span<const std::byte> bytes() const { return {data_, bytes_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace troupe
