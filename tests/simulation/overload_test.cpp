// SPDX-License-Identifier: Apache-2.0
// More requests than a cluster can serve: who is refused, with what, and who never is.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

generation exactly(token_id first, std::uint32_t tokens) {
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  what.prompt.tokens = {first, 2, 3};
  what.stops.max_tokens = tokens;
  what.stops.ignore_eos = true;
  return what;
}

/// Until the request has so many tokens.
void serve_until(simulated_cluster& cluster, std::uint64_t ticket, std::size_t tokens) {
  REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() >= tokens; }));
}

/// Until the request was taken or refused.
const simulated_cluster::client_view& answer_to(simulated_cluster& cluster, std::uint64_t ticket) {
  const auto& view = cluster.view(ticket);
  REQUIRE(cluster.run_until([&] { return view.accepted || !view.refusal.empty(); }));
  return view;
}

std::uint64_t ask(simulated_cluster& cluster, generation what, bool promised = false) {
  troupe::submit message;
  message.what = std::move(what);
  message.credit = 1000;
  message.promised = promised;
  return cluster.submit_to(0, std::move(message));
}

}  // namespace

TEST_CASE("a new request that would wait too long is told when to come back, and is taken then") {
  simulated_cluster cluster{{.max_sequences = 1, .max_wait_ms = 300, .step = 10ms}};
  auto running = ask(cluster, exactly(1, 60));
  serve_until(cluster, running, 10);
  const auto& refused = answer_to(cluster, ask(cluster, exactly(2, 5)));
  CHECK(refused.refusal == "overloaded");
  CHECK_THAT(refused.refusal_sentence, ContainsSubstring("for a sequence to end") &&
                                           ContainsSubstring("300 ms is the bound (max_wait)") &&
                                           ContainsSubstring("1 sequences run"));
  CHECK(refused.retry_after >= 100ms);
  CHECK(refused.retry_after <= 400ms);
  auto steps = static_cast<std::size_t>(refused.retry_after / 10ms);
  serve_until(cluster, running, 11 + steps);
  auto again = ask(cluster, exactly(2, 5));
  CHECK(answer_to(cluster, again).accepted);
  cluster.pass(2s);
  CHECK(cluster.view(running).tokens == cluster.foretold({1, 2, 3}, 60));
  CHECK(cluster.view(again).tokens == cluster.foretold({2, 2, 3}, 5));
}

TEST_CASE("a request that was accepted before, and one in the background, is not refused for the load") {
  simulated_cluster cluster{{.max_sequences = 1, .max_wait_ms = 300, .step = 10ms}};
  auto running = ask(cluster, exactly(1, 60));
  serve_until(cluster, running, 10);
  REQUIRE(answer_to(cluster, ask(cluster, exactly(2, 5))).refusal == "overloaded");
  auto promised = ask(cluster, exactly(3, 5), true);
  auto what = exactly(4, 5);
  what.priority = -1;
  auto background = ask(cluster, std::move(what));
  CHECK(answer_to(cluster, promised).accepted);
  CHECK(answer_to(cluster, background).accepted);
  cluster.pass(2s);
  CHECK(cluster.view(promised).tokens == cluster.foretold({3, 2, 3}, 5));
  CHECK(cluster.view(background).tokens == cluster.foretold({4, 2, 3}, 5));
}

TEST_CASE("while a group would refuse whatever comes, its router does so without asking it") {
  simulated_cluster cluster{{.max_sequences = 1, .max_wait_ms = 300, .step = 10ms}};
  auto running = ask(cluster, exactly(1, 80));
  serve_until(cluster, running, 10);
  for (token_id first = 2; first < 6; ++first)
    CHECK(answer_to(cluster, ask(cluster, exactly(first, 5))).refusal == "overloaded");
  serve_until(cluster, running, 25);  // 100 ms later it asks again
  CHECK(answer_to(cluster, ask(cluster, exactly(7, 5))).refusal == "overloaded");
  cluster.pass(2s);
  CHECK(cluster.router_state().refused == 5);
  CHECK(cluster.group_state().scheduler.requests_refused >= 2);
  CHECK(cluster.group_state().scheduler.requests_refused < 5);
}

TEST_CASE("a request that one group has no room for goes to another, and is refused when none has") {
  simulated_cluster cluster{{.groups = 2, .max_sequences = 1, .max_wait_ms = 300, .step = 10ms}};
  auto first = ask(cluster, exactly(1, 60));
  serve_until(cluster, first, 2);
  auto second = ask(cluster, exactly(2, 30));
  serve_until(cluster, second, 18);  // 12 tokens to go, 20 ms each: the second group would have room in time
  auto third = ask(cluster, exactly(3, 60));
  CHECK(answer_to(cluster, third).accepted);
  const auto& fourth = answer_to(cluster, ask(cluster, exactly(4, 5)));
  CHECK(fourth.refusal == "overloaded");
  cluster.settle();
  for (auto [ticket, token, count] : {std::tuple(first, 1, 60U), {second, 2, 30U}, {third, 3, 60U}})
    CHECK(cluster.view(ticket).tokens == cluster.foretold({token, 2, 3}, count));
  CHECK(cluster.group_state("g1").scheduler.requests_accepted == 2);
}

TEST_CASE("an accepted request that moves to a group without room waits there") {
  script second_group_fails = [](const scripted_start& start) {
    scripted_options options;
    if (start.group == "g1" && start.incarnation == 1) options.fail_at_step = 36;
    return options;
  };
  simulated_cluster cluster{
      {.groups = 2, .max_sequences = 1, .max_wait_ms = 400, .step = 10ms, .ranks = second_group_fails}};
  auto first = ask(cluster, exactly(1, 200));
  serve_until(cluster, first, 2);
  auto second = ask(cluster, exactly(2, 40));
  serve_until(cluster, second, 26);
  auto waiting = ask(cluster, exactly(3, 5));
  INFO(answer_to(cluster, waiting).refusal_sentence);
  REQUIRE(cluster.view(waiting).accepted);
  REQUIRE(cluster.view(second).tokens.size() < 36);
  cluster.pass(20s);
  CHECK(cluster.router_state().moved >= 2);
  for (auto [ticket, token, count] : {std::tuple(first, 1, 200U), {second, 2, 40U}, {waiting, 3, 5U}})
    CHECK(cluster.view(ticket).tokens == cluster.foretold({token, 2, 3}, count));
}
