// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace troupe {

struct restart_limits {
  std::size_t restarts = 3;     ///< after short lives of one place within `window`; one more, and it is down
  std::size_t long_lives = 10;  ///< of those that had served, so many times as many
  std::chrono::seconds window{60};
  std::chrono::seconds long_life{2};  ///< a rank that has served for so long is started again at once
  std::chrono::minutes down_time{10};
};

/// When a place's rank may be started again after it has ended by itself. Plain values; `now` is any steady clock.
class restart_policy {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit restart_policy(restart_limits limits = {}) : limits_(limits) {}

  /// Whose fault an end is: a rank that lost a peer is well, and is started again without a pause; but not for ever,
  /// because its word is all there is to tell it from one that cannot reach anybody.
  enum class fault : std::uint8_t { own, peer };

  /// The rank has ended and nobody here had ended it. `served`: for how long it had been ready to serve.
  void note_end(time_point now, std::chrono::nanoseconds served, fault whose = fault::own);

  /// An operator wants it tried again.
  void forgive();

  /// The place is given up until `next_start`.
  bool down() const { return down_; }
  /// Not before this may it be started.
  time_point next_start() const { return next_start_; }
  /// Ends what came to an end by `now`. True when the rank may be started.
  bool may_start(time_point now);

 private:
  restart_limits limits_;
  struct life_end {
    time_point when;
    fault whose = fault::own;
    bool short_life = false;
  };
  std::deque<life_end> ends_;    ///< within the window
  std::size_t short_lives_ = 0;  ///< in a row
  time_point next_start_{};
  bool down_ = false;
};

}  // namespace troupe
