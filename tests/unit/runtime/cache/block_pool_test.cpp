// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/block_pool.hpp"

#include <set>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

TEST_CASE("a pool gives each block once, then none") {
  block_pool pool(5);
  std::set<block_id> taken;
  while (const auto block = pool.take()) {
    REQUIRE_FALSE(pool.is_free(*block));
    taken.insert(*block);
  }
  CHECK(taken == std::set<block_id>{0, 1, 2, 3, 4});
  CHECK(pool.free() == 0);
}

TEST_CASE("a block given back can be taken again") {
  block_pool pool(2);
  const auto first = pool.take();
  pool.take();
  pool.give_back(*first);
  CHECK(pool.free() == 1);
  CHECK(pool.take() == first);
}
