// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <caf/actor_clock.hpp>

namespace troupe::simulation {

using instant = caf::actor_clock::time_point;
using span = caf::actor_clock::duration_type;

inline span us(std::uint64_t count) { return std::chrono::microseconds{count}; }
inline span ms(std::uint64_t count) { return std::chrono::milliseconds{count}; }

/// Where every simulated run begins; a second after zero, because a time of zero means "never" to some.
inline constexpr instant beginning{std::chrono::seconds{1}};

inline double seconds_of(instant when) { return std::chrono::duration<double>(when - beginning).count(); }

/// What will happen outside the actors, in order of time, then in order of being planned.
class timeline {
 public:
  instant now() const { return now_; }
  void set_now(instant now) { now_ = now; }

  void at(instant when, std::function<void()> what) {
    events_.push_back({when < now_ ? now_ : when, ++planned_, std::move(what)});
    std::push_heap(events_.begin(), events_.end());
  }
  void after(span delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  bool empty() const { return events_.empty(); }
  instant next() const { return events_.front().when; }

  /// Does everything that is due.
  void run_due() {
    while (!events_.empty() && events_.front().when <= now_) {
      std::pop_heap(events_.begin(), events_.end());
      auto what = std::move(events_.back().what);
      events_.pop_back();
      what();
    }
  }
  void clear() { events_.clear(); }

 private:
  struct event {
    instant when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const event& other) const { return when != other.when ? when > other.when : number > other.number; }
  };

  instant now_ = beginning;
  std::uint64_t planned_ = 0;
  std::vector<event> events_;  ///< a heap; the next one in front
};

}  // namespace troupe::simulation
