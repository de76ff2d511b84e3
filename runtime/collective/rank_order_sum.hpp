// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace troupe {

/// sum[i] = ((part 0 [i] + part 1 [i]) + part 2 [i]) + ...; every communicator adds in this way, so that they all give
/// the same bits. `part(rank)` points to that rank's values, none of which may lie in `sum`.
template <class Part>
void sum_in_rank_order(std::span<float> sum, int ranks, Part part) {
  float* const out = sum.data();
  const std::size_t count = sum.size();
  const float* const first = part(0);
  const float* const second = part(1);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = first[i] + second[i];
  for (int rank = 2; rank < ranks; ++rank) {
    const float* const next = part(rank);
    for (std::size_t i = 0; i < count; ++i)
      out[i] += next[i];
  }
}

}  // namespace troupe
