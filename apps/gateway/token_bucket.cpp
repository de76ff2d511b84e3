// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/token_bucket.hpp"

#include <algorithm>
#include <cmath>

namespace troupe {

namespace {

constexpr double rounding = 1e-6;

}  // namespace

double token_bucket::left_at(time_point now) const {
  const std::chrono::duration<double, std::ratio<60>> passed = now - counted_;
  return std::min(per_minute_, left_ + std::max(passed.count(), 0.0) * per_minute_);
}

void token_bucket::take(double amount, time_point now) {
  left_ = left_at(now) - amount;
  counted_ = std::max(counted_, now);
}

std::chrono::milliseconds token_bucket::wait_for(double amount, time_point now) const {
  const auto missing = std::min(amount, per_minute_) - left_at(now);
  if (missing <= rounding) return std::chrono::milliseconds{0};
  return std::chrono::milliseconds{std::llround(std::ceil(missing * 60'000 / per_minute_ - rounding))};
}

}  // namespace troupe
