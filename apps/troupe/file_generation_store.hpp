// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "actors/generation_store.hpp"

namespace troupe {

/// The generation as a decimal number in a file: written beside it, flushed, renamed, and the folder flushed.
class file_generation_store : public generation_store {
 public:
  /// `folder` is made when it is not there.
  explicit file_generation_store(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::uint64_t load() override;
  void store(std::uint64_t generation) override;

 private:
  std::filesystem::path folder_;
};

}  // namespace troupe
