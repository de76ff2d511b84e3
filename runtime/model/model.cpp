// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/model.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/model/checkpoint.hpp"
#include "runtime/model/errors.hpp"
#include "runtime/model/model_presets.hpp"
#include "runtime/model/random_weights.hpp"

namespace troupe {

namespace {

constexpr std::string_view random_prefix = "random:";

bool is_random(const std::string& name) { return name.starts_with(random_prefix); }

model_config random_config(const std::string& name) {
  const auto shape = name.substr(random_prefix.size());
  if (auto preset = find_model_preset(shape)) return *preset;
  const std::filesystem::path path(shape);
  if (std::filesystem::is_directory(path)) return read_model_config(path);
  if (std::filesystem::is_regular_file(path) && path.filename() == "config.json") {
    const auto folder = path.parent_path();
    return read_model_config(folder.empty() ? "." : folder);
  }
  throw config_error(
      fmt::format("\"{}\": there is no such model; use random: with one of {}, or with the path of a config.json", name,
                  fmt::join(model_preset_names(), ", ")));
}

class hasher {
 public:
  void add(std::uint64_t word) {
    for (int i = 0; i < 8; ++i)
      hash_ = (hash_ ^ (word >> (8 * i) & 0xffU)) * 0x100000001b3U;
  }
  void add(const std::string& text) {
    add(text.size());
    for (unsigned char c : text)
      hash_ = (hash_ ^ c) * 0x100000001b3U;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

void add_config(hasher& hash, const model_config& config) {
  for (std::uint64_t word : {std::size_t(config.kind), config.hidden_size, config.intermediate_size, config.layers,
                             config.heads, config.kv_heads, config.head_size, config.vocabulary_size,
                             config.positions_max, std::size_t(config.tied_embeddings), config.eos_ids.size()})
    hash.add(word);
  for (auto id : config.eos_ids)
    hash.add(static_cast<std::uint64_t>(id));
  auto add_double = [&](double x) { hash.add(std::bit_cast<std::uint64_t>(x)); };
  add_double(config.norm_epsilon);
  add_double(config.rope_theta);
  const auto scaling = config.rope_scaling.value_or(llama3_rope_scaling{0, 0, 0, 0});
  add_double(scaling.factor);
  add_double(scaling.low_frequency_factor);
  add_double(scaling.high_frequency_factor);
  add_double(scaling.original_positions);
}

/// The first values of a tensor's first, middle and last row.
void add_values(hasher& hash, const tensor_spec& spec, const weight_source& source) {
  constexpr std::size_t sampled = 16;
  bf16 values[sampled];
  const auto count = std::min(sampled, spec.columns);
  for (auto row : {std::size_t{0}, spec.rows / 2, spec.rows - 1}) {
    for (auto column : {std::size_t{0}, spec.columns - count}) {
      source.read(spec, {{row, 1}, {column, count}}, values);
      for (std::size_t i = 0; i < count; ++i)
        hash.add(values[i].bits);
    }
  }
}

}  // namespace

model_config open_model_config(const std::string& name) {
  return is_random(name) ? random_config(name) : read_model_config(name);
}

model open_model(const std::string& name) {
  auto config = open_model_config(name);
  std::shared_ptr<const weight_source> weights;
  if (is_random(name))
    weights = std::make_shared<random_weights>(config);
  else
    weights = std::make_shared<checkpoint>(name, config);
  return {std::move(config), std::move(weights)};
}

std::uint64_t model_hash(const model& x) {
  hasher hash;
  add_config(hash, x.config);
  for (const auto& spec : model_tensors(x.config)) {
    hash.add(spec.name);
    hash.add(spec.rows);
    hash.add(spec.columns);
    add_values(hash, spec, *x.weights);
  }
  return hash.value();
}

}  // namespace troupe
