// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/running_set.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

sequence& running_set::add(std::unique_ptr<sequence> added) {
  auto& result = *added;
  const auto place = std::ranges::upper_bound(by_turn_, result.turn, {}, [](const auto& other) { return other->turn; });
  by_turn_.insert(place, std::move(added));
  by_request_[result.request.id] = &result;
  return result;
}

sequence* running_set::find(request_id request) const {
  const auto found = by_request_.find(request);
  return found == by_request_.end() ? nullptr : found->second;
}

void running_set::forget(const sequence& ended) {
  const auto found = by_request_.find(ended.request.id);
  if (found != by_request_.end() && found->second == &ended) by_request_.erase(found);
}

void running_set::sweep() {
  std::erase_if(by_turn_, [](const auto& each) { return each->phase == sequence_phase::gone; });
}

sequence* running_set::last_running() const {
  auto last = std::find_if(by_turn_.rbegin(), by_turn_.rend(),
                           [](const auto& each) { return each->phase == sequence_phase::running; });
  return last == by_turn_.rend() ? nullptr : last->get();
}

bool running_set::any_leaving() const {
  return std::ranges::any_of(by_turn_, [](const auto& each) {
    return each->phase == sequence_phase::retiring || each->phase == sequence_phase::ending;
  });
}

}  // namespace troupe
