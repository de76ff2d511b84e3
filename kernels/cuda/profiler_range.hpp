// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace troupe {

/// A named stretch of the calling thread's time in NVIDIA's profilers; free when none is attached.
class profiler_range {
 public:
  explicit profiler_range(const char* name);
  profiler_range(const profiler_range&) = delete;
  profiler_range& operator=(const profiler_range&) = delete;
  ~profiler_range();
};

}  // namespace troupe
