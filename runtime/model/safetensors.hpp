// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/model/file_mapping.hpp"

namespace troupe {

/// One tensor of a safetensors file, whose bytes are known to lie inside the file and to fit its type and shape.
struct stored_tensor {
  std::string type;  ///< as in the file: BF16, F32, ...
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

/// A safetensors file, mapped and checked as a whole: header at most 16 MiB, no duplicate names, every tensor's bytes
/// follow the one before without overlap or gap up to the end of the file.
class safetensors_file {
 public:
  /// Throws weights_error naming the file, the tensor and what is wrong.
  explicit safetensors_file(const std::filesystem::path& file);

  const std::map<std::string, stored_tensor>& tensors() const { return tensors_; }

 private:
  file_mapping mapping_;
  std::map<std::string, stored_tensor> tensors_;
};

}  // namespace troupe
