// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/profiler_range.hpp"

#include <nvtx3/nvToolsExt.h>

namespace troupe {

profiler_range::profiler_range(const char* name) { nvtxRangePushA(name); }

profiler_range::~profiler_range() { nvtxRangePop(); }

}  // namespace troupe
