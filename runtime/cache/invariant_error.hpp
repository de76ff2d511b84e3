// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace troupe {

/// A bookkeeping rule does not hold: a bug in Troupe. The text is the finding.
class invariant_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace troupe
