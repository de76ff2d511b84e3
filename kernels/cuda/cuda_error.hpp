// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace troupe {

/// A CUDA or cuBLAS call that failed, with what was attempted. The device context may be broken: the rank's process
/// must end.
class cuda_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace troupe
