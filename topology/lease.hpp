// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

namespace troupe {

/// A node's right to go on with the epochs it knows: for `length` from the moment it asked, by its own steady clock,
/// so that it is over here before it can be over for who granted it. A process that was stopped finds it over first.
class lease {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit lease(std::chrono::milliseconds length = std::chrono::milliseconds(1000)) : length_(length) {}

  /// Notes the moment, and returns its number for the request.
  std::uint64_t ask(time_point now) {
    asked_.emplace_back(++sequence_, now);
    if (asked_.size() > 64) asked_.pop_front();
    return sequence_;
  }

  /// What was asked under that number is granted. Answers may be lost, late or there twice.
  void grant(std::uint64_t sequence) {
    while (!asked_.empty() && asked_.front().first <= sequence) {
      if (asked_.front().first == sequence && asked_.front().second + length_ > until_)
        until_ = asked_.front().second + length_;
      asked_.pop_front();
    }
  }

  /// Whoever granted is gone, and its answers mean nothing any more; what was granted stays.
  void forget_asked() { asked_.clear(); }

  time_point until() const { return until_; }
  bool held(time_point now) const { return now < until_; }

 private:
  std::chrono::milliseconds length_;
  std::uint64_t sequence_ = 0;
  std::deque<std::pair<std::uint64_t, time_point>> asked_;  ///< not answered yet
  time_point until_{};
};

/// A point of the steady clock as it travels between processes of one machine.
inline std::int64_t to_nanoseconds(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}
inline std::chrono::steady_clock::time_point from_nanoseconds(std::int64_t ns) {
  return std::chrono::steady_clock::time_point{std::chrono::nanoseconds{ns}};
}

}  // namespace troupe
