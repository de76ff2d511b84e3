// SPDX-License-Identifier: Apache-2.0
#include "actors/quarantine.hpp"

#include <algorithm>

namespace troupe {

void quarantine::learn(const std::vector<epoch_end>& ended) {
  for (const auto& end : ended)
    verdicts_.insert_or_assign(end.epoch, end.cause);
  while (verdicts_.size() > verdicts_max)
    verdicts_.erase(verdicts_.begin());
}

std::optional<loss_cause> quarantine::verdict(std::uint64_t epoch) const {
  auto found = verdicts_.find(epoch);
  if (found == verdicts_.end()) return std::nullopt;
  return found->second;
}

void quarantine::refuse(std::uint64_t fingerprint, time_point now) {
  std::erase_if(refused_, [now](const auto& entry) { return entry.second <= now; });
  if (refused_.size() >= refused_max)
    refused_.erase(std::min_element(refused_.begin(), refused_.end(),
                                    [](const auto& a, const auto& b) { return a.second < b.second; }));
  refused_[fingerprint] = now + refusal_time;
}

bool quarantine::refuses(std::uint64_t fingerprint, time_point now) const {
  auto found = refused_.find(fingerprint);
  return found != refused_.end() && now < found->second;
}

}  // namespace troupe
