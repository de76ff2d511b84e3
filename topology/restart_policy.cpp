// SPDX-License-Identifier: Apache-2.0
#include "topology/restart_policy.hpp"

#include <algorithm>

namespace troupe {

void restart_policy::note_end(time_point now, std::chrono::nanoseconds served, fault whose) {
  while (!ends_.empty() && now - ends_.front().when > limits_.window)
    ends_.pop_front();
  ends_.push_back({now, whose, served < limits_.long_life});
  auto count = [this](auto which) {
    return static_cast<std::size_t>(std::count_if(ends_.begin(), ends_.end(), which));
  };
  const auto own = count([](const life_end& end) { return end.whose == fault::own; });
  const auto own_short = count([](const life_end& end) { return end.whose == fault::own && end.short_life; });
  // A request can kill a rank that is well: what had served is given more patience than what never does.
  down_ = own_short > limits_.restarts || own > limits_.restarts * limits_.long_lives ||
          ends_.size() - own > (limits_.restarts + 1) * limits_.long_lives;
  if (down_) {
    next_start_ = now + limits_.down_time;
    return;
  }
  if (whose == fault::peer) {
    next_start_ = now;
    return;
  }
  short_lives_ = ends_.back().short_life ? short_lives_ + 1 : 0;
  // The first death costs nothing: most have a cause that is gone with the process.
  auto delay = std::chrono::seconds(short_lives_ <= 1 ? 0 : short_lives_ == 2 ? 1 : 5);
  next_start_ = now + delay;
}

void restart_policy::forgive() {
  ends_.clear();
  short_lives_ = 0;
  down_ = false;
  next_start_ = {};
}

bool restart_policy::may_start(time_point now) {
  if (now < next_start_) return false;
  if (down_) forgive();
  return true;
}

}  // namespace troupe
