// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/model_presets.hpp"

namespace troupe {

namespace {

struct preset {
  const char* name;
  std::size_t hidden_size, intermediate_size, layers, heads, kv_heads;
  bool tied_embeddings;
};

constexpr preset qwen3_presets[] = {
    {"qwen3-0.6b", 1024, 3072, 28, 16, 8, true},  {"qwen3-1.7b", 2048, 6144, 28, 16, 8, true},
    {"qwen3-4b", 2560, 9728, 36, 32, 8, true},    {"qwen3-8b", 4096, 12288, 36, 32, 8, false},
    {"qwen3-14b", 5120, 17408, 40, 40, 8, false}, {"qwen3-32b", 5120, 25600, 64, 64, 8, false},
};
constexpr preset llama3_presets[] = {{"llama3-8b", 4096, 14336, 32, 32, 8, false}};

model_config base(const preset& from, architecture kind) {
  model_config config;
  config.kind = kind;
  config.hidden_size = from.hidden_size;
  config.intermediate_size = from.intermediate_size;
  config.layers = from.layers;
  config.heads = from.heads;
  config.kv_heads = from.kv_heads;
  config.head_size = 128;
  config.tied_embeddings = from.tied_embeddings;
  return config;
}

model_config make_qwen3(const preset& from) {
  auto config = base(from, architecture::qwen3);
  config.vocabulary_size = 151936;
  config.positions_max = 40960;
  config.norm_epsilon = 1e-6F;
  config.rope_theta = 1e6;
  config.eos_ids = {151643, 151645};
  return config;
}

model_config make_llama3(const preset& from) {
  auto config = base(from, architecture::llama);
  config.vocabulary_size = 128256;
  config.positions_max = 8192;
  config.norm_epsilon = 1e-5F;
  config.rope_theta = 5e5;
  config.eos_ids = {128001, 128009};
  return config;
}

}  // namespace

std::optional<model_config> find_model_preset(std::string_view name) {
  for (const auto& preset : qwen3_presets)
    if (name == preset.name) return make_qwen3(preset);
  for (const auto& preset : llama3_presets)
    if (name == preset.name) return make_llama3(preset);
  return std::nullopt;
}

std::vector<std::string> model_preset_names() {
  std::vector<std::string> names;
  for (const auto& preset : qwen3_presets)
    names.emplace_back(preset.name);
  for (const auto& preset : llama3_presets)
    names.emplace_back(preset.name);
  return names;
}

}  // namespace troupe
