// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/fault/fault.hpp"

namespace troupe {

/// A group and the number of its ranks.
using faulty_group = std::pair<std::string, std::uint32_t>;

/// `count` faults against ranks that a cluster recovers from: kill, freeze, slow, drop, hang. The same seed and groups
/// give the same faults on every machine. Wrong tokens are left out, which no recovery mends.
std::vector<fault> random_faults(std::uint64_t seed, std::size_t count, const std::vector<faulty_group>& groups);

}  // namespace troupe
