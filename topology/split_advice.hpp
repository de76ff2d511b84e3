// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// The shapes that fit a number of ranks, closest to what was asked for: "tensor 2 x pipeline 3 or tensor 6 x pipeline
/// 1".
std::string advise_shape(std::uint32_t ranks, std::uint32_t tensor, std::uint32_t pipeline);

}  // namespace troupe
