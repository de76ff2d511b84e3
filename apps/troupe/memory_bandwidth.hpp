// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace troupe {

/// Bytes a second that `threads` threads read from main memory, each in eight streams that lie far apart (one alone is
/// limited by the prefetcher). The best of three passes over 1 GiB: the limit that decoding one sequence runs against.
double measure_read_bandwidth(std::size_t threads);

}  // namespace troupe
