// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/worker_pool.hpp"

#include <numeric>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace troupe;

TEST_CASE("every item of every loop runs exactly once, whatever the threads") {
  const auto threads = GENERATE(1, 2, 3, 8);
  worker_pool pool(static_cast<std::size_t>(threads));
  CHECK(pool.threads() == static_cast<std::size_t>(threads));
  std::size_t wrong = 0;
  for (std::size_t loop = 0; loop < 3000; ++loop) {
    // The counters live on the stack of one loop: a thread that came late would write into another loop's.
    std::vector<std::atomic<int>> runs(loop % 37);
    pool.run(runs.size(), [&](std::size_t i) { runs[i].fetch_add(1); });
    for (const auto& count : runs)
      wrong += count.load() != 1 ? 1 : 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("what the items wrote is seen after the loop") {
  worker_pool pool(4);
  std::vector<std::size_t> squares(10000);
  for (std::size_t round = 1; round < 20; ++round) {
    pool.run(squares.size(), [&](std::size_t i) { squares[i] = i * round; });
    REQUIRE(std::accumulate(squares.begin(), squares.end(), std::size_t{0}) == round * (9999 * 10000 / 2));
  }
}

TEST_CASE("a pool that never ran ends") {
  for (int i = 0; i < 200; ++i)
    worker_pool pool(4);
  SUCCEED();
}
