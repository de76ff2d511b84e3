// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "runtime/cache/invariant_error.hpp"
#include "runtime/cache/kv_cache.hpp"

namespace troupe {

/// Counts everything again from the tables of all live sequences and throws invariant_error where the cache's own books
/// differ: each block is free, in the index, or private to one table; references are the tables'; a used node has a
/// used parent; the eviction order has each unreferenced node once, children before parents.
void check_invariants(const kv_cache& cache, std::span<const block_table* const> tables);

}  // namespace troupe
