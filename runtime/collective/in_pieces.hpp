// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

namespace troupe {

/// Calls `piece(offset, count)` for consecutive pieces, once with nothing when there is nothing.
template <class Piece>
void in_pieces(std::size_t total, std::size_t largest, Piece piece) {
  std::size_t offset = 0;
  do {
    const auto count = std::min(largest, total - offset);
    piece(offset, count);
    offset += count;
  } while (offset < total);
}

}  // namespace troupe
