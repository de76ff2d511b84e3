// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/group_capacity.hpp"

#include <stdexcept>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

using namespace troupe;

TEST_CASE("a group has the blocks of its tightest rank") {
  const std::vector<load_report> reports{
      {.blocks = 900, .block_tokens = 16}, {.blocks = 700, .block_tokens = 16}, {.blocks = 1'000, .block_tokens = 16}};
  CHECK(agree(reports).blocks == 700);
  CHECK(agree(reports).block_tokens == 16);
}

TEST_CASE("ranks with blocks of different sizes are named") {
  const std::vector<load_report> reports{{.blocks = 900, .block_tokens = 16}, {.blocks = 900, .block_tokens = 32}};
  CHECK_THROWS_MATCHES(agree(reports), std::invalid_argument,
                       Catch::Matchers::Message("rank 1 has blocks of 32 tokens and rank 0 of 16"));
  CHECK_THROWS_AS(agree({}), std::invalid_argument);
}
