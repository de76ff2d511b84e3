// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/tensor.hpp"
#include "runtime/model/model_config.hpp"

namespace troupe {

/// Radians per position of each rotated pair of a head: head_size / 2 values.
std::vector<float> rope_frequencies(const model_config& config);

/// Fills row i of `cosines` and `sines` (float32 [tokens, head_size / 2]) for position positions[i]. The angle is a
/// float32 product, as in the reference implementations: at far positions its rounding is part of the model.
void fill_rope_angles(std::span<const float> frequencies, std::span<const std::uint32_t> positions, tensor cosines,
                      tensor sines);

}  // namespace troupe
