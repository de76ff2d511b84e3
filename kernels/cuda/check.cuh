// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <cuda_runtime.h>

#include "kernels/cuda/cuda_error.hpp"

namespace troupe {

inline void check(cudaError_t status, const char* attempted) {
  if (status != cudaSuccess)
    throw cuda_error(std::string(attempted) + ": " + cudaGetErrorName(status) + ": " + cudaGetErrorString(status));
}

}  // namespace troupe
