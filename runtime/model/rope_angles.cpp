// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/rope_angles.hpp"

#include <cmath>
#include <numbers>

namespace troupe {

namespace {

float scale_frequency(double frequency, const llama3_rope_scaling& scaling) {
  const auto wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength > scaling.original_positions / scaling.low_frequency_factor)
    return static_cast<float>(frequency / scaling.factor);
  if (wavelength < scaling.original_positions / scaling.high_frequency_factor) return static_cast<float>(frequency);
  const auto smooth = (scaling.original_positions / wavelength - scaling.low_frequency_factor) /
                      (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return static_cast<float>((1 - smooth) * frequency / scaling.factor + smooth * frequency);
}

}  // namespace

std::vector<float> rope_frequencies(const model_config& config) {
  std::vector<float> frequencies(config.head_size / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const auto exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_size);
    const auto frequency = 1.0F / std::pow(static_cast<float>(config.rope_theta), exponent);
    frequencies[i] = config.rope_scaling ? scale_frequency(frequency, *config.rope_scaling) : frequency;
  }
  return frequencies;
}

void fill_rope_angles(std::span<const float> frequencies, std::span<const std::uint32_t> positions, tensor cosines,
                      tensor sines) {
  for (std::size_t i = 0; i < positions.size(); ++i) {
    auto* c = cosines.row<float>(i);
    auto* s = sines.row<float>(i);
    for (std::size_t j = 0; j < frequencies.size(); ++j) {
      const float angle = static_cast<float>(positions[i]) * frequencies[j];
      c[j] = std::cos(angle);
      s[j] = std::sin(angle);
    }
  }
}

}  // namespace troupe
