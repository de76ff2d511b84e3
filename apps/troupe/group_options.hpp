// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "apps/troupe/local_cluster.hpp"

namespace troupe {

/// The options of commands that run a group in their own process.
void add_group_options(CLI::App& command, local_cluster_options& options, std::string& log_level);

}  // namespace troupe
