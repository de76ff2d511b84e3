// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "topology/cluster_file.hpp"

namespace troupe {

/// HOST:PORT of a node as a person writes it. Throws std::invalid_argument saying what is wrong.
host_port parse_address(const std::string& text);

/// The nodes that a person names, in the order in which they are to be tried: HOST:PORT, several of them with commas
/// between, or a topology file, which stands for all of its nodes. Throws std::invalid_argument saying what is wrong.
std::vector<host_port> parse_nodes(const std::string& text);

}  // namespace troupe
