// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

namespace troupe {

/// Retries of refused requests are a tenth of the requests, so that clients do not add to a load that is too much
/// already. A few are free at the start.
class retry_budget {
 public:
  void count_request() { left_ = std::min(left_ + 0.1, most); }

  /// False: no retry is left.
  bool take() {
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  static constexpr double most = 10;
  double left_ = most;
};

}  // namespace troupe
