// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/straggler_watch.hpp"

#include <algorithm>

namespace troupe {

std::uint64_t straggler_watch::median() const {
  auto sorted = usual_;
  const auto size = std::min(count_, window);
  auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(size / 2);
  std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(size));
  return *middle;
}

std::optional<straggler_watch::finding> straggler_watch::add(std::uint64_t step_us) {
  const auto known = count_ >= run_length;
  const auto usual = known ? median() : 0;
  if (!known || step_us <= factor * usual) {
    usual_[count_++ % window] = step_us;
    slow_ = 0;
    return std::nullopt;
  }
  if (++slow_ != run_length) return std::nullopt;
  return finding{usual, step_us};
}

}  // namespace troupe
