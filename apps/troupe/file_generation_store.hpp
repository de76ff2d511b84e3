// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "actors/generation_store.hpp"

namespace troupe {

/// The generation as a decimal number in the file `generation`, the drained names one a line in `drained`. Each is
/// written beside its place, flushed, renamed, and the folder flushed.
class file_generation_store : public generation_store {
 public:
  /// `folder` is made when it is not there.
  explicit file_generation_store(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::uint64_t load() override;
  void store(std::uint64_t generation) override;
  std::vector<std::string> load_drained() override;
  void store_drained(const std::vector<std::string>& names) override;

 private:
  bool exists(const char* name) const;
  void write(const char* name, const std::string& text) const;

  std::filesystem::path folder_;
};

}  // namespace troupe
