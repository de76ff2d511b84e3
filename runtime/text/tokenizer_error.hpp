// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace troupe {

/// A tokenizer file that cannot be used, or a text or an id that a tokenizer cannot take. The message names what was
/// wrong and what would be right.
class tokenizer_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace troupe
