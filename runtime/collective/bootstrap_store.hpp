// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// Where the ranks of a group leave each other their addresses before they can talk. The control plane carries it
/// between hosts; keys hold the group's name, so one store serves many groups. Called by several threads.
class bootstrap_store {
 public:
  bootstrap_store() = default;
  bootstrap_store(const bootstrap_store&) = delete;
  bootstrap_store& operator=(const bootstrap_store&) = delete;
  virtual ~bootstrap_store() = default;

  virtual void set(const std::string& key, std::vector<std::byte> value) = 0;

  /// Waits until somebody has set the key; nothing when the deadline came first.
  virtual std::optional<std::vector<std::byte>> get(const std::string& key,
                                                    std::chrono::steady_clock::time_point deadline) = 0;
};

}  // namespace troupe
