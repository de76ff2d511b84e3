// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace troupe {

/// Log lines go to standard error: time, level, role (for example "node a" or "g0/rank 1"), event name and fields.
/// Throws std::invalid_argument for a level that is none of trace, debug, info, warning, error.
void start_logging(const std::string& role, const std::string& level);

}  // namespace troupe
