// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/model/safetensors.hpp"
#include "runtime/model/weight_source.hpp"

namespace troupe {

/// The weights of a Hugging Face model folder: model.safetensors, or the files that model.safetensors.index.json names.
/// Checked whole on opening: exactly the tensors that the configuration asks for, each bfloat16 and of its shape.
class checkpoint final : public weight_source {
 public:
  /// Throws weights_error naming the file and the tensor.
  checkpoint(const std::filesystem::path& folder, const model_config& config);

  const bf16* find(const tensor_spec& spec, const tensor_slice& slice) const override;
  void read(const tensor_spec& spec, const tensor_slice& slice, bf16* to) const override;

 private:
  void open_single(const std::filesystem::path& file);
  void open_indexed(const std::filesystem::path& index);
  void check(const std::filesystem::path& folder, const model_config& config) const;

  std::vector<safetensors_file> files_;
  std::map<std::string, const stored_tensor*> tensors_;
};

}  // namespace troupe
