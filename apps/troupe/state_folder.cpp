// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/state_folder.hpp"

#include <cstdlib>

namespace troupe {
namespace {

/// Only absolute paths count, as the XDG base directory specification says.
std::filesystem::path folder_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value == '/' ? std::filesystem::path{value} : std::filesystem::path{};
}

}  // namespace

std::filesystem::path default_state_folder(const std::string& cluster) {
  if (auto state = folder_in("XDG_STATE_HOME"); !state.empty()) return state / "troupe" / cluster;
  if (auto home = folder_in("HOME"); !home.empty()) return home / ".local/state/troupe" / cluster;
  return {};
}

}  // namespace troupe
