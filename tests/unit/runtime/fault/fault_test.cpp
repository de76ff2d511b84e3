// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/fault.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/fault/random_faults.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

fault against_rank(fault_kind kind) {
  fault x;
  x.kind = kind;
  x.target.group = std::string{"g0"};
  x.target.rank = 1;
  return x;
}

}  // namespace

TEST_CASE("a fault is written in words and its names are read again") {
  auto x = against_rank(fault_kind::slow);
  x.factor = 3;
  x.at_step = 9;
  x.for_ms = 500;
  CHECK(to_string(x) == "slow rank g0/1 at step 9 by a factor of 3 for 500 ms");
  CHECK(parse_fault_kind("wrong-token") == fault_kind::wrong_token);
  CHECK(parse_fault_role("detokenizer") == fault_role::detokenizer);
  CHECK_FALSE(parse_fault_kind("explode"));
}

TEST_CASE("targets are told in one word") {
  const auto rank = parse_fault_target("g0/12");
  REQUIRE(rank);
  CHECK(rank->role == fault_role::rank);
  CHECK(rank->group == "g0");
  CHECK(rank->rank == 12);
  CHECK(parse_fault_target("engine:g0/1")->role == fault_role::engine);
  CHECK(parse_fault_target("router")->node.empty());
  CHECK(parse_fault_target("node:b")->node == "b");
  for (const auto* bad : {"", "g0", "g0/x", "/1", "engine", "engine:g0", "nobody:a", "g0/1x"})
    CHECK_FALSE(parse_fault_target(bad));
}

TEST_CASE("a fault that makes no sense is refused with what would") {
  CHECK(problem_with(against_rank(fault_kind::kill)).empty());
  CHECK_THAT(problem_with(against_rank(fault_kind::slow)), ContainsSubstring("by how much"));
  auto x = against_rank(fault_kind::hang);
  x.target.role = fault_role::router;
  CHECK_THAT(problem_with(x), ContainsSubstring("a rank or its engine can"));
  x = against_rank(fault_kind::kill);
  x.target.group.clear();
  CHECK_THAT(problem_with(x), ContainsSubstring("for example g0/1"));
  x = {};
  x.target.role = fault_role::router;
  x.at_step = 3;
  CHECK_THAT(problem_with(x), ContainsSubstring("give a time"));
  x = {};
  x.kind = fault_kind::freeze;
  x.target.role = fault_role::node;
  CHECK_THAT(problem_with(x), ContainsSubstring("for how long"));
  x.for_ms = ~0ULL;
  CHECK_THAT(problem_with(x), ContainsSubstring("at most an hour"));
}

TEST_CASE("random faults are a function of the seed, and each of them makes sense") {
  const std::vector<faulty_group> groups{{"g0", 2}, {"g1", 3}};
  const auto faults = random_faults(7, 200, groups);
  REQUIRE(faults.size() == 200);
  const auto again = random_faults(7, 200, groups);
  for (std::size_t i = 0; i < faults.size(); ++i) {
    CHECK(problem_with(faults[i]).empty());
    CHECK(to_string(faults[i]) == to_string(again[i]));
  }
  CHECK(to_string(random_faults(8, 1, groups)[0]) != to_string(faults[0]));
  CHECK(random_faults(7, 5, {}).empty());
}
