// SPDX-License-Identifier: Apache-2.0
// Requests that crash the engine that computes them.
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct crash_count {
  std::uint32_t crashes = 0;
};

/// Every engine crashes as soon as it is fed `marker`.
script crashing_on(std::vector<token_id> markers, std::shared_ptr<crash_count> count) {
  return [=](const rank_start& start) {
    scripted_options options;
    auto feeds = [markers](const std::vector<token_id>& tokens) {
      return std::find_first_of(tokens.begin(), tokens.end(), markers.begin(), markers.end()) != tokens.end();
    };
    if (start.rank != 0) return options;
    options.before_step = [=](const step_plan& plan) {
      for (const auto& entry : plan.entries) {
        if (!feeds(entry.tokens)) continue;
        ++count->crashes;
        throw std::runtime_error("the engine crashed");
      }
    };
    return options;
  };
}

const token_id marker = 999;
const token_id other_marker = 998;

submit request_at(std::vector<token_id> prompt, std::uint32_t tokens = 40) {
  submit message;
  message.what.prompt.kind = prompt_kind::tokens;
  message.what.prompt.tokens = std::move(prompt);
  message.what.stops.max_tokens = tokens;
  message.credit = 1000;
  return message;
}

std::string end_of(const simulated_cluster::client_view& view) {
  if (!view.refusal.empty()) return view.refusal;
  if (!view.ended()) return "none";
  return view.last().finish == finish_reason::error ? view.last().error_code : to_string(view.last().finish);
}

}  // namespace

TEST_CASE("a poison prompt crashes its group twice at most and ends with one error; the others are not changed") {
  for (auto [groups, routers] : {std::pair{1U, 1U}, {2U, 1U}, {1U, 2U}, {3U, 2U}}) {
    auto count = std::make_shared<crash_count>();
    simulated_cluster cluster{{.groups = groups, .routers = routers, .ranks = crashing_on({marker}, count)}};
    std::vector<std::uint64_t> tickets;
    for (token_id first = 1; first <= 8; ++first)
      tickets.push_back(cluster.submit_to(static_cast<std::uint32_t>(first) % routers, request_at({first, 2, 3})));
    cluster.run_until([&] { return cluster.view(tickets[0]).tokens.size() > 3; });
    auto poison = cluster.submit_to(0, request_at({1, marker, 3}));
    cluster.pass(30s);
    INFO(groups << " groups, " << routers << " routers: " << cluster.view(poison).refusal_sentence);
    CHECK(end_of(cluster.view(poison)) == "poison");
    CHECK(count->crashes == 2);
    for (token_id first = 1; first <= 8; ++first) {
      const auto& view = cluster.view(tickets[static_cast<std::size_t>(first) - 1]);
      CHECK(end_of(view) == "length");
      CHECK(view.tokens == cluster.foretold({first, 2, 3}, 40));
    }
    auto again = cluster.submit_to(0, request_at({1, marker, 3}));
    cluster.pass(1s);
    CHECK(end_of(cluster.view(again)) == "poison");
    CHECK(count->crashes == 2);
  }
}

TEST_CASE("a request that turns to poison at a later position is found out, with what it gave before") {
  auto count = std::make_shared<crash_count>();
  // The scripted tokens after this prompt are known: the one at position 20 is the marker.
  std::vector<token_id> prompt{4, 5, 6};
  token_id late = 0;
  {
    simulated_cluster cluster;
    late = cluster.foretold(prompt, 21).back();
  }
  simulated_cluster cluster{{.pipeline = 2, .ranks = crashing_on({late}, count)}};
  std::vector<std::uint64_t> tickets;
  for (token_id first = 1; first <= 4; ++first)
    tickets.push_back(cluster.submit_to(0, request_at({first, 2, 3}, 8)));
  auto poison = cluster.submit_to(0, request_at(prompt));
  cluster.pass(30s);
  CHECK(end_of(cluster.view(poison)) == "poison");
  CHECK(count->crashes == 2);
  auto expected = cluster.foretold(prompt, 21);
  REQUIRE(cluster.view(poison).tokens.size() <= expected.size());
  CHECK(std::equal(cluster.view(poison).tokens.begin(), cluster.view(poison).tokens.end(), expected.begin()));
  for (token_id first = 1; first <= 4; ++first)
    CHECK(cluster.view(tickets[static_cast<std::size_t>(first) - 1]).tokens == cluster.foretold({first, 2, 3}, 8));
}

TEST_CASE("two poison requests at once are both found out, each at the price of one more crash") {
  auto count = std::make_shared<crash_count>();
  simulated_cluster cluster{{.groups = 2, .ranks = crashing_on({marker, other_marker}, count)}};
  std::vector<std::uint64_t> tickets;
  for (token_id first = 1; first <= 6; ++first)
    tickets.push_back(cluster.submit_to(0, request_at({first, 2, 3})));
  auto one = cluster.submit_to(0, request_at({1, marker, 3}));
  auto two = cluster.submit_to(0, request_at({2, other_marker, 3}));
  cluster.pass(60s);
  CHECK(end_of(cluster.view(one)) == "poison");
  CHECK(end_of(cluster.view(two)) == "poison");
  CHECK(count->crashes <= 4);
  for (token_id first = 1; first <= 6; ++first)
    CHECK(cluster.view(tickets[static_cast<std::size_t>(first) - 1]).tokens == cluster.foretold({first, 2, 3}, 40));
}
