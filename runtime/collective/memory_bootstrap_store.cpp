// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/memory_bootstrap_store.hpp"

#include <utility>

namespace troupe {

void memory_bootstrap_store::set(const std::string& key, std::vector<std::byte> value) {
  {
    const std::lock_guard lock(mutex_);
    values_.insert_or_assign(key, std::move(value));
  }
  changed_.notify_all();
}

std::optional<std::vector<std::byte>> memory_bootstrap_store::get(const std::string& key,
                                                                  std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline, [&] { return values_.contains(key); })) return std::nullopt;
  return values_.at(key);
}

}  // namespace troupe
