// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// A small file in a cache folder: what is lost with it is found out again, so no failure is one. Processes may write
/// the same one at once; a reader gets one of their contents whole.
class kept_file {
 public:
  /// Characters of the name that do not belong into one become '_'. Without a folder nothing is kept.
  kept_file(const std::filesystem::path& folder, std::string name);

  /// Empty where there is none, or more than a few MiB.
  std::vector<std::byte> read() const;
  void write(std::span<const std::byte> bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace troupe
