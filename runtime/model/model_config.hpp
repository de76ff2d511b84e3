// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/ids.hpp"

namespace troupe {

enum class architecture : std::uint8_t { llama, qwen2, qwen3 };

const char* to_string(architecture x);

/// Llama 3.1's stretching of the slow rotations.
struct llama3_rope_scaling {
  double factor = 1;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double original_positions = 8192;
  friend bool operator==(const llama3_rope_scaling&, const llama3_rope_scaling&) = default;
};

/// The shape of a dense decoder and what its config.json says about running it.
struct model_config {
  architecture kind = architecture::llama;
  std::size_t hidden_size = 0;
  std::size_t intermediate_size = 0;
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t kv_heads = 0;
  std::size_t head_size = 0;
  std::size_t vocabulary_size = 0;
  std::size_t positions_max = 0;  ///< prompt and output together
  float norm_epsilon = 1e-6F;
  double rope_theta = 10000;
  std::optional<llama3_rope_scaling> rope_scaling;
  bool tied_embeddings = false;
  std::vector<token_id> eos_ids;  ///< sorted; any of them ends a sequence

  bool has_qk_norm() const { return kind == architecture::qwen3; }
  bool has_qkv_bias() const { return kind == architecture::qwen2; }

  friend bool operator==(const model_config&, const model_config&) = default;
};

/// `text` is a config.json, `generation_text` a generation_config.json or empty; `where` names them in errors.
/// Throws config_error naming the key, its value and what is supported.
model_config parse_model_config(std::string_view text, std::string_view generation_text, const std::string& where);

/// Reads config.json and, where there is one, generation_config.json from a Hugging Face model folder.
model_config read_model_config(const std::filesystem::path& folder);

}  // namespace troupe
