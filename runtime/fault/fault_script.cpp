// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/fault_script.hpp"

#include <algorithm>

namespace troupe {

void fault_script::add(const fault& x) {
  std::lock_guard lock{mutex_};
  entries_.push_back({x, false, {}});
}

void fault_script::clear() {
  std::lock_guard lock{mutex_};
  entries_.clear();
  ++clearings_;
  changed_.notify_all();
}

std::vector<fault> fault_script::waiting() const {
  std::lock_guard lock{mutex_};
  std::vector<fault> all;
  for (const auto& known : entries_)
    all.push_back(known.what);
  return all;
}

std::vector<fault> fault_script::take_due(std::uint64_t step, std::uint64_t sampled) {
  std::lock_guard lock{mutex_};
  const auto now = std::chrono::steady_clock::now();
  std::vector<fault> due;
  std::erase_if(entries_, [&](entry& x) {
    if (x.what.token >= 0) return false;
    if (x.begun && x.what.for_ms > 0 && now >= x.end) return true;
    if (!x.begun && (step < x.what.at_step || sampled < x.what.after_tokens)) return false;
    due.push_back(x.what);
    if (!x.begun) x.end = now + std::chrono::milliseconds(x.what.for_ms);
    x.begun = true;
    return x.what.kind != fault_kind::slow;
  });
  return due;
}

std::optional<fault> fault_script::find_poison(const step_plan& plan) const {
  std::lock_guard lock{mutex_};
  for (const auto& known : entries_) {
    if (known.what.token < 0) continue;
    for (const auto& share : plan.entries)
      if (std::find(share.tokens.begin(), share.tokens.end(), known.what.token) != share.tokens.end())
        return known.what;
  }
  return std::nullopt;
}

void fault_script::pause(std::chrono::nanoseconds span) {
  std::unique_lock lock{mutex_};
  auto ended = [this, before = clearings_] { return awake_ || clearings_ != before; };
  if (span.count() == 0)
    changed_.wait(lock, ended);
  else
    changed_.wait_for(lock, span, ended);
}

void fault_script::wake() {
  std::lock_guard lock{mutex_};
  awake_ = true;
  changed_.notify_all();
}

}  // namespace troupe
