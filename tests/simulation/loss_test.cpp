// SPDX-License-Identifier: Apache-2.0
// Ranks that fail while requests run.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Rank `rank` fails at `step` in its first life.
script failing(std::uint32_t rank, std::uint64_t step) {
  return [=](const rank_start& start) {
    scripted_options options;
    if (start.rank == rank && start.incarnation == 1) options.fail_at_step = step;
    return options;
  };
}

}  // namespace

TEST_CASE("accepted requests go on with their exact tokens after any rank has failed") {
  for (std::uint32_t rank : {0U, 1U}) {
    for (std::uint64_t step : {1U, 2U, 7U, 20U}) {
      simulated_cluster cluster{{.tensor = 2, .ranks = failing(rank, step)}};
      std::vector<std::uint64_t> tickets;
      for (token_id first = 1; first <= 5; ++first)
        tickets.push_back(cluster.submit_tokens({first, 2, 3}, 40));
      cluster.pass(20s);
      for (token_id first = 1; first <= 5; ++first) {
        const auto& view = cluster.view(tickets[static_cast<std::size_t>(first) - 1]);
        INFO("rank " << rank << " fails at step " << step << "; refusal: " << view.refusal_sentence);
        REQUIRE(view.accepted);
        REQUIRE(view.ended());
        CHECK(view.tokens == cluster.foretold({first, 2, 3}, 40));
        CHECK(view.last().finish == finish_reason::length);
      }
    }
  }
}

TEST_CASE("the other group takes the requests of a group that lost a rank") {
  script first_group_fails = [](const rank_start& start) {
    scripted_options options;
    if (start.group == "g0") options.fail_at_step = 10;
    return options;
  };
  simulated_cluster cluster{{.groups = 2, .ranks = first_group_fails}};
  std::vector<std::uint64_t> tickets;
  for (token_id first = 1; first <= 6; ++first)
    tickets.push_back(cluster.submit_tokens({first, 2, 3}, 40));
  cluster.pass(5s);
  for (token_id first = 1; first <= 6; ++first)
    CHECK(cluster.view(tickets[static_cast<std::size_t>(first) - 1]).tokens == cluster.foretold({first, 2, 3}, 40));
}

TEST_CASE("every re-formed group has a greater epoch") {
  simulated_cluster cluster{{.ranks = failing(0, 3)}};
  auto before = cluster.cluster_state().groups.front().epoch;
  cluster.submit_tokens({1, 2, 3}, 20);
  cluster.pass(10s);
  CHECK(cluster.cluster_state().groups.front().phase == group_phase::serving);
  CHECK(cluster.cluster_state().groups.front().epoch > before);
}

TEST_CASE("a group that fails again and again says so, and its requests end with one error each") {
  script always = [](const rank_start&) {
    scripted_options options;
    options.fail_at_step = 2;
    return options;
  };
  simulated_cluster cluster{{.ranks = always}};
  std::vector<std::uint64_t> tickets;
  for (token_id first = 1; first <= 4; ++first)
    tickets.push_back(cluster.submit_tokens({first, 2, 3}, 20));
  cluster.pass(700s);
  for (auto ticket : tickets) {
    REQUIRE(cluster.view(ticket).ended());
    CHECK(cluster.view(ticket).last().finish == finish_reason::error);
  }
  CHECK(cluster.cluster_state().groups.front().phase == group_phase::failed);
  CHECK_THAT(cluster.cluster_state().groups.front().message, ContainsSubstring("restarted"));
  auto late = cluster.submit_tokens({1, 2, 3}, 20);
  cluster.settle();
  CHECK(cluster.view(late).refusal == "not_ready");
}
