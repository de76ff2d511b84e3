// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace troupe {

/// Where a cluster's state is kept when nobody says where: $XDG_STATE_HOME/troupe/CLUSTER, with ~/.local/state for
/// XDG_STATE_HOME; empty when there is no home folder either.
std::filesystem::path default_state_folder(const std::string& cluster);

/// Where this user keeps what can be made again: $XDG_CACHE_HOME/troupe, with ~/.cache for XDG_CACHE_HOME; empty when
/// there is no home folder either.
std::filesystem::path cache_folder();

}  // namespace troupe
