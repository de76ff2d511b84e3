// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "runtime/collective/communicator_options.hpp"

namespace troupe {

/// What a caller of any communicator must keep. Each throws std::invalid_argument that says what would be right.
void check_membership(const communicator_options& options, int size_max);
void check_rank(int rank, int size);
void check_other_rank(int peer, int rank, int size);
void check_gather_sizes(std::size_t mine, std::size_t all, int size);

}  // namespace troupe
