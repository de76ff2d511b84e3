// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace troupe {

/// So much a minute, given evenly, of which at most a minute's is kept. What is taken may exceed what is there; then
/// nothing more is to be had until the debt is made good. `now` is any steady clock.
class token_bucket {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit token_bucket(double per_minute) : per_minute_(per_minute), left_(per_minute) {}

  void take(double amount, time_point now);

  /// How long until `amount` may be taken; 0: now. At most a minute's amount is ever there.
  std::chrono::milliseconds wait_for(double amount, time_point now) const;

 private:
  double left_at(time_point now) const;

  double per_minute_;
  double left_;
  time_point counted_{};
};

}  // namespace troupe
