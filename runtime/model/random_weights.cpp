// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/random_weights.hpp"

#include <cmath>

namespace troupe {

namespace {

std::uint32_t hash_name(const std::string& name) {
  std::uint32_t hash = 0x811c9dc5U;
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x01000193U;
  return hash;
}

/// A value is centre + spread * u with u uniform in (-1, 1).
value_recipe recipe_of(const tensor_spec& spec, std::size_t layers) {
  const auto seed = hash_name(spec.name);
  constexpr double uniform_to_deviation = 1.7320508;  // uniform in (-a, a) has the deviation a / sqrt 3
  const auto scaled = [&](double deviation) {
    return value_recipe{seed, 0, static_cast<float>(deviation * uniform_to_deviation)};
  };
  const auto inputs = static_cast<double>(spec.columns);
  switch (spec.use) {
    case tensor_use::projection:
      return scaled(1 / std::sqrt(inputs));
    // The residual is a sum of two contributions a layer; together they keep the deviation 1.
    case tensor_use::projection_to_residual:
      return scaled(1 / std::sqrt(inputs * 2 * static_cast<double>(layers)));
    // Logits of deviation 2: a distribution that is neither flat nor one peak.
    case tensor_use::embedding:
      return scaled(2 / std::sqrt(inputs));
    case tensor_use::norm:
      return {seed, 1, 0.125F};
    case tensor_use::bias:
      return {seed, 0, 0.125F};
  }
  return {seed, 0, 1};
}

}  // namespace

random_weights::random_weights(const model_config& config)
    : layers_(config.layers), kernels_(find_cpu_kernels(available_isas().back())) {}

std::optional<value_recipe> random_weights::recipe(const tensor_spec& spec) const { return recipe_of(spec, layers_); }

void random_weights::read(const tensor_spec& spec, const tensor_slice& slice, bf16* to) const {
  const auto d = recipe_of(spec, layers_);
  for (auto row = slice.rows.begin; row < slice.rows.end(); ++row) {
    const auto first = std::uint64_t{row} * spec.columns + slice.columns.begin;
    kernels_->random_fill(d.seed, first, d.centre, d.spread, to, slice.columns.count);
    to += slice.columns.count;
  }
}

}  // namespace troupe
