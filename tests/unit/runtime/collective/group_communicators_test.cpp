// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/group_communicators.hpp"

#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/collective/memory_bootstrap_store.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/unit/runtime/collective/backends.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("each stage sums among its shards and each shard sends to the next stage") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  memory_bootstrap_store store;
  std::vector<float> results(4);
  const auto errors = run_threads(4, [&](int rank) {
    auto options = options_for(kind, 4);
    options.rank = rank;
    const auto group = make_group_communicators(options, 2, 2, store);
    auto value = static_cast<float>(1 << rank);
    group.tensor->all_reduce_sum({&value, 1});
    if (group.pipeline->rank() == 0) group.pipeline->send(std::as_bytes(std::span(&value, 1)), 1);
    if (group.pipeline->rank() == 1) group.pipeline->receive(std::as_writable_bytes(std::span(&value, 1)), 0);
    results[static_cast<std::size_t>(rank)] = value;
    group.pipeline->barrier();
  });
  CHECK(errors == std::vector<std::string>(4));
  CHECK(results == std::vector<float>{3, 3, 3, 3});  // the second stage's own sum, 12, was replaced by the first's
}

TEST_CASE("a shape that is not the group's size is refused") {
  memory_bootstrap_store store;
  CHECK_THROWS_WITH(make_group_communicators(options_for(communicator_kind::local, 4), 3, 2, store),
                    Catch::Matchers::ContainsSubstring("tensor 3 x pipeline 2"));
}
