// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "topology/cluster_file.hpp"

namespace troupe {

/// One thing that was looked at.
struct doctor_finding {
  std::string what;
  bool good = false;
  std::string detail;  ///< what was found; when it is not good, also what would be right
};

/// True when the address is one of this machine's.
bool is_here(const std::string& host);

/// Model, TLS files, shared memory and the limit of open files, as this machine has them.
std::vector<doctor_finding> check_machine(const cluster_file& file);

/// A node of this machine that does not run: can it open its ports, and does its memory suffice?
std::vector<doctor_finding> check_idle_node(const cluster_file& file, const node_spec& node);

}  // namespace troupe
