// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/model_config.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/model/errors.hpp"
#include "runtime/model/json_check.hpp"

namespace troupe {

const char* to_string(architecture x) {
  switch (x) {
    case architecture::llama:
      return "LlamaForCausalLM";
    case architecture::qwen2:
      return "Qwen2ForCausalLM";
    case architecture::qwen3:
      return "Qwen3ForCausalLM";
  }
  return "unknown";
}

namespace {

using nlohmann::json;

std::string shown(const json& value) {
  auto text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

/// One JSON object whose values are taken out by key, checked.
class reader {
 public:
  reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[noreturn]] void fail(const std::string& key, const std::string& wanted) const {
    throw config_error(fmt::format("{}: \"{}\" is {}; {}", where_, key,
                                   has(key) ? shown(object_.at(key)) : std::string("missing"), wanted));
  }

  /// Present and not null.
  bool has(const std::string& key) const { return object_.contains(key) && !object_.at(key).is_null(); }

  std::size_t size(const std::string& key, std::size_t least, std::size_t most) const {
    const auto wanted = fmt::format("it must be a whole number from {} to {}", least, most);
    if (!has(key) || !object_.at(key).is_number_unsigned()) fail(key, wanted);
    const auto value = object_.at(key).get<std::uint64_t>();
    if (value < least || value > most) fail(key, wanted);
    return value;
  }

  std::size_t size_or(const std::string& key, std::size_t least, std::size_t most, std::size_t otherwise) const {
    return has(key) ? size(key, least, most) : otherwise;
  }

  double number(const std::string& key, double least, double most) const {
    const auto wanted = fmt::format("it must be a number from {} to {}", least, most);
    if (!has(key) || !object_.at(key).is_number()) fail(key, wanted);
    const auto value = object_.at(key).get<double>();
    if (!(value >= least && value <= most)) fail(key, wanted);
    return value;
  }

  bool flag_or(const std::string& key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!object_.at(key).is_boolean()) fail(key, "it must be true or false");
    return object_.at(key).get<bool>();
  }

  std::string text_or(const std::string& key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    if (!object_.at(key).is_string()) fail(key, "it must be a string");
    return object_.at(key).get<std::string>();
  }

  reader object(const std::string& key) const {
    if (!object_.at(key).is_object()) fail(key, "it must be an object");
    return {object_.at(key), where_ + ": " + key};
  }

  const json& value(const std::string& key) const { return object_.at(key); }

 private:
  const json& object_;
  std::string where_;
};

json parse(std::string_view text, const std::string& where) {
  if (auto error = find_json_error(text); !error.empty()) throw config_error(where + ": " + error);
  return json::parse(text);
}

architecture read_architecture(const reader& config) {
  const auto* wanted = "the supported ones are LlamaForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM";
  if (!config.has("architectures")) config.fail("architectures", wanted);
  const auto& names = config.value("architectures");
  if (!names.is_array() || names.size() != 1 || !names.front().is_string()) config.fail("architectures", wanted);
  for (auto kind : {architecture::llama, architecture::qwen2, architecture::qwen3})
    if (names.front().get<std::string>() == to_string(kind)) return kind;
  config.fail("architectures", wanted);
}

/// Features that change the arithmetic and that this runtime does not have: better refused than answered wrongly.
void refuse_unsupported(const reader& config, const model_config& result) {
  const auto activation = config.text_or("hidden_act", "silu");
  if (activation != "silu") config.fail("hidden_act", "only silu is supported");
  if (config.has("quantization_config")) config.fail("quantization_config", "only bfloat16 weights are supported");
  for (const auto* key : {"num_experts", "num_local_experts"})
    if (config.has(key)) config.fail(key, "mixtures of experts are not supported, only dense models");
  if (!result.has_qkv_bias() && config.flag_or("attention_bias", false))
    config.fail("attention_bias", "biases in the attention are supported for Qwen2ForCausalLM only");
  if (config.flag_or("mlp_bias", false)) config.fail("mlp_bias", "biases in the MLP are not supported");
  if (config.has("layer_types")) {
    const auto& types = config.value("layer_types");
    const auto full = [](const json& type) { return type == "full_attention"; };
    if (!types.is_array() || !std::all_of(types.begin(), types.end(), full))
      config.fail("layer_types", "only full_attention layers are supported");
  }
  if (result.kind != architecture::llama && config.flag_or("use_sliding_window", false) &&
      config.has("sliding_window") && config.size_or("max_window_layers", 0, 1U << 20, 0) < result.layers)
    config.fail("use_sliding_window", "sliding window attention is not supported");
}

llama3_rope_scaling read_llama3_scaling(const reader& rope) {
  llama3_rope_scaling scaling;
  scaling.factor = rope.number("factor", 1, 1024);
  scaling.low_frequency_factor = rope.number("low_freq_factor", 1e-3, 1e3);
  scaling.high_frequency_factor = rope.number("high_freq_factor", 1e-3, 1e3);
  scaling.original_positions = rope.number("original_max_position_embeddings", 1, 1e9);
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor)
    rope.fail("high_freq_factor", "it must be greater than low_freq_factor");
  return scaling;
}

/// transformers 5 has everything in rope_parameters; before, the base was rope_theta and the rest rope_scaling.
void read_rope(const reader& config, model_config& result) {
  constexpr double theta_min = 1;
  constexpr double theta_max = 1e12;
  if (config.has("rope_theta")) result.rope_theta = config.number("rope_theta", theta_min, theta_max);
  for (const auto* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const auto rope = config.object(key);
    if (rope.has("rope_theta"))
      result.rope_theta = rope.number("rope_theta", theta_min, theta_max);
    else if (!config.has("rope_theta") && key == std::string("rope_parameters"))
      rope.fail("rope_theta", "it must be here or beside rope_parameters");
    const std::string type_key = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
    const auto type = rope.text_or(type_key, "default");
    if (type == "llama3")
      result.rope_scaling = read_llama3_scaling(rope);
    else if (type != "default")
      rope.fail(type_key, "the supported ones are default and llama3");
  }
}

std::vector<token_id> read_eos(const reader& config, std::size_t vocabulary_size) {
  const std::string key = "eos_token_id";
  if (!config.has(key)) return {};
  const auto wanted = fmt::format("it must be a token id from 0 to {}, or at most 64 of them", vocabulary_size - 1);
  const auto& value = config.value(key);
  std::vector<token_id> ids;
  for (const auto& id : value.is_array() ? value : json::array({value})) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= vocabulary_size || ids.size() == 64)
      config.fail(key, wanted);
    ids.push_back(id.get<token_id>());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

void read_shape(const reader& config, model_config& result) {
  result.hidden_size = config.size("hidden_size", 1, 65536);
  result.intermediate_size = config.size("intermediate_size", 1, 1U << 20);
  result.layers = config.size("num_hidden_layers", 1, 1024);
  result.heads = config.size("num_attention_heads", 1, 1024);
  result.kv_heads = config.size_or("num_key_value_heads", 1, result.heads, result.heads);
  if (result.heads % result.kv_heads != 0)
    config.fail("num_key_value_heads", fmt::format("it must divide the {} attention heads", result.heads));
  if (!config.has("head_dim") && result.hidden_size % result.heads != 0)
    config.fail("num_attention_heads", "without head_dim it must divide hidden_size");
  result.head_size = config.size_or("head_dim", 1, 512, result.hidden_size / result.heads);
  if (result.head_size % 16 != 0 || result.head_size > 512)
    config.fail("head_dim",
                fmt::format("the size of a head is {} and must be a multiple of 16 up to 512", result.head_size));
  result.vocabulary_size = config.size("vocab_size", 1, 1U << 22);
  result.positions_max = config.size("max_position_embeddings", 1, 1U << 24);
}

std::string read_text(const std::filesystem::path& file) {
  constexpr std::uintmax_t bytes_max = 1U << 20;
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  if (error) throw config_error(fmt::format("{}: cannot be read: {}", file.string(), error.message()));
  if (bytes > bytes_max)
    throw config_error(fmt::format("{}: it has {} bytes; at most {} are allowed", file.string(), bytes, bytes_max));
  std::ifstream stream(file, std::ios::binary);
  std::string text(bytes, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(bytes)))
    throw config_error(fmt::format("{}: cannot be read", file.string()));
  return text;
}

}  // namespace

model_config parse_model_config(std::string_view text, std::string_view generation_text, const std::string& where) {
  const auto config_json = parse(text, where + "/config.json");
  const reader config(config_json, where + "/config.json");
  model_config result;
  result.kind = read_architecture(config);
  read_shape(config, result);
  result.norm_epsilon =
      static_cast<float>(config.has("rms_norm_eps") ? config.number("rms_norm_eps", 1e-12, 1e-1) : 1e-6);
  result.tied_embeddings = config.flag_or("tie_word_embeddings", false);
  read_rope(config, result);
  refuse_unsupported(config, result);
  if (!generation_text.empty()) {
    const auto generation = parse(generation_text, where + "/generation_config.json");
    result.eos_ids = read_eos({generation, where + "/generation_config.json"}, result.vocabulary_size);
  }
  if (result.eos_ids.empty()) result.eos_ids = read_eos(config, result.vocabulary_size);
  return result;
}

model_config read_model_config(const std::filesystem::path& folder) {
  const auto generation = folder / "generation_config.json";
  const auto generation_text = std::filesystem::exists(generation) ? read_text(generation) : std::string();
  return parse_model_config(read_text(folder / "config.json"), generation_text, folder.string());
}

}  // namespace troupe
