// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "topology/cluster_file.hpp"

namespace troupe {

/// HOST:PORT of a node as a person writes it. Throws std::invalid_argument saying what is wrong.
host_port parse_address(const std::string& text);

}  // namespace troupe
