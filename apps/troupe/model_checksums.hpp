// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <stdexcept>

namespace troupe {

/// A model file that is not what its folder's SHA256SUMS says.
class checksum_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// When a model's folder has a file SHA256SUMS (as `sha256sum *.safetensors *.json > SHA256SUMS` writes it), reads
/// every file that it lists and compares. A folder without one is not checked. Names must be of files in the folder
/// itself. Throws checksum_error naming the file, both sums and the remedy, or the line that is no checksum.
void verify_checksums(const std::filesystem::path& folder);

}  // namespace troupe
