// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace troupe {

/// A step plan that contradicts what the executor was told before, or a result that cannot be right. The ranks no
/// longer agree, so the executor must not be used again.
class engine_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace troupe
