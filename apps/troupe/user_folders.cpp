// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/user_folders.hpp"

#include <cstdlib>

namespace troupe {
namespace {

/// Only absolute paths count, as the XDG base directory specification says.
std::filesystem::path folder_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value == '/' ? std::filesystem::path{value} : std::filesystem::path{};
}

/// The folder of a variable, or one below the home folder.
std::filesystem::path folder_of_user(const char* variable, const char* below_home) {
  if (auto folder = folder_in(variable); !folder.empty()) return folder / "troupe";
  if (auto home = folder_in("HOME"); !home.empty()) return home / below_home / "troupe";
  return {};
}

}  // namespace

std::filesystem::path default_state_folder(const std::string& cluster) {
  auto folder = folder_of_user("XDG_STATE_HOME", ".local/state");
  return folder.empty() ? folder : folder / cluster;
}

std::filesystem::path cache_folder() { return folder_of_user("XDG_CACHE_HOME", ".cache"); }

}  // namespace troupe
