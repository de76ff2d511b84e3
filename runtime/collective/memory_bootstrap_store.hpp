// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "runtime/collective/bootstrap_store.hpp"

namespace troupe {

/// The store of ranks that are threads of one process.
class memory_bootstrap_store final : public bootstrap_store {
 public:
  void set(const std::string& key, std::vector<std::byte> value) override;
  std::optional<std::vector<std::byte>> get(const std::string& key,
                                            std::chrono::steady_clock::time_point deadline) override;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<std::byte>> values_;
};

}  // namespace troupe
