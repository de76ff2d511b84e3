// SPDX-License-Identifier: Apache-2.0
// Clients that ask twice, come back, or go on at another router.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::vector<token_id> prompt_ids{5, 6, 7, 8, 9};

generation ask_for(std::uint32_t tokens, std::vector<token_id> prompt = prompt_ids) {
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  what.prompt.tokens = std::move(prompt);
  what.stops.max_tokens = tokens;
  return what;
}

submit keyed(std::uint32_t tokens, std::uint64_t key, std::vector<token_id> have = {}) {
  submit message;
  message.what = ask_for(tokens);
  message.credit = 1000;
  message.key = {1, key};
  message.keep = true;
  message.have.tokens = std::move(have);
  return message;
}

std::vector<token_id> joined(std::vector<token_id> head, const std::vector<token_id>& tail) {
  head.insert(head.end(), tail.begin(), tail.end());
  return head;
}

std::size_t ends_of(const simulated_cluster::client_view& view) {
  return static_cast<std::size_t>(std::count_if(view.events.begin(), view.events.end(),
                                                [](const auto& e) { return e.finish != finish_reason::none; }));
}

}  // namespace

TEST_CASE("a request asked for twice under one key is one request, and the second asker gets all of it") {
  simulated_cluster cluster;
  auto first = cluster.submit_to(0, keyed(100, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(first).tokens.size() > 10; }));
  auto second = cluster.submit_to(0, keyed(100, 1));
  cluster.settle();
  CHECK(cluster.view(second).tokens == cluster.foretold(prompt_ids, 100));
  CHECK(cluster.view(second).last().finish == finish_reason::length);
  CHECK(cluster.view(first).last().error_code == "superseded");
  CHECK(cluster.router_state().accepted == 1);
  CHECK(cluster.group_state().scheduler.requests_finished == 1);
}

TEST_CASE("a client that comes back gets what it has not had, each token once") {
  simulated_cluster cluster;
  auto first = cluster.submit_to(0, keyed(200, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(first).tokens.size() > 20; }));
  auto held = cluster.view(first).tokens;
  cluster.lose_client(first);
  cluster.pass(5s);
  auto second = cluster.submit_to(0, keyed(200, 1, held));
  cluster.settle();
  CHECK(cluster.view(second).events.front().tokens.front().position == held.size());
  CHECK(joined(held, cluster.view(second).tokens) == cluster.foretold(prompt_ids, 200));
  CHECK(cluster.group_state().scheduler.requests_finished == 1);
}

TEST_CASE("an end that nobody acknowledged is told again, and once acknowledged it is forgotten") {
  simulated_cluster cluster;
  auto first = cluster.submit_to(0, keyed(30, 1));
  cluster.settle();
  REQUIRE(cluster.view(first).ended());
  auto second = cluster.submit_to(0, keyed(30, 1, cluster.view(first).tokens));
  cluster.settle();
  REQUIRE(cluster.view(second).ended());
  CHECK(cluster.view(second).tokens.empty());
  CHECK(cluster.view(second).last().finish == finish_reason::length);
  CHECK(cluster.router_state().completed == 1);
  caf::anon_send(cluster.router, acknowledge{cluster.view(second).request});
  cluster.settle();
  auto third = cluster.submit_to(0, keyed(30, 1));
  cluster.settle();
  CHECK(cluster.view(third).tokens == cluster.foretold(prompt_ids, 30));
  CHECK(cluster.router_state().accepted == 2);
}

TEST_CASE("a key that names another request is refused, and the first request goes on") {
  simulated_cluster cluster;
  auto first = cluster.submit_to(0, keyed(100, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(first).tokens.size() > 5; }));
  auto second = cluster.submit_to(0, keyed(101, 1));
  cluster.settle();
  CHECK(cluster.view(second).refusal == "invalid_request");
  CHECK_THAT(cluster.view(second).refusal_sentence, ContainsSubstring("key"));
  CHECK(cluster.view(first).tokens == cluster.foretold(prompt_ids, 100));
}

TEST_CASE("another router takes a request over from what the client holds") {
  simulated_cluster cluster{{.routers = 2}};
  auto first = cluster.submit_to(0, keyed(150, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(first).tokens.size() > 40; }));
  auto held = cluster.view(first).tokens;
  cluster.lose_router(0);
  auto second = cluster.submit_to(1, keyed(150, 1, held));
  cluster.settle();
  REQUIRE(cluster.view(second).ended());
  CHECK(joined(held, cluster.view(second).tokens) == cluster.foretold(prompt_ids, 150));
  // Nothing is left of the lost router's requests.
  CHECK(cluster.group_state().scheduler.running == 0);
  CHECK(cluster.group_state().scheduler.blocks_used == 0);
}

TEST_CASE("a request whose last token the client holds gets its end from any router") {
  simulated_cluster cluster{{.routers = 2}};
  auto all = cluster.foretold(prompt_ids, 25);
  auto ticket = cluster.submit_to(1, keyed(25, 1, all));
  cluster.settle();
  REQUIRE(cluster.view(ticket).ended());
  CHECK(cluster.view(ticket).tokens.empty());
  CHECK(cluster.view(ticket).last().finish == finish_reason::length);
  CHECK(cluster.group_state().steps == 0);
}

TEST_CASE("a router that is behind goes on from what the client got elsewhere") {
  simulated_cluster cluster{{.routers = 2}};
  auto first = cluster.submit_to(0, keyed(300, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(first).tokens.size() > 10; }));
  auto held = cluster.foretold(prompt_ids, 200);  // from another router, meanwhile
  auto second = cluster.submit_to(0, keyed(300, 1, held));
  cluster.settle();
  REQUIRE(cluster.view(second).ended());
  CHECK(joined(held, cluster.view(second).tokens) == cluster.foretold(prompt_ids, 300));
}

TEST_CASE("a client that does not come back within its time frees its request") {
  simulated_cluster cluster;
  auto ticket = cluster.submit_to(0, keyed(400, 1));
  REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() > 10; }));
  cluster.lose_client(ticket);
  cluster.pass(11s);
  CHECK(cluster.router_state().live == 0);
  CHECK(cluster.group_state().scheduler.blocks_used == 0);
  cluster.pass(61s);
  auto again = cluster.submit_to(0, keyed(400, 1));
  cluster.settle();
  CHECK(cluster.view(again).tokens == cluster.foretold(prompt_ids, 400));
}

TEST_CASE("a resuming client sees one uninterrupted answer when its router is lost at any moment") {
  for (std::size_t seen : {0U, 1U, 17U, 99U}) {
    simulated_cluster cluster{{.routers = 3}};
    auto ticket = cluster.submit_resuming(ask_for(100));
    REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() >= seen; }));
    cluster.lose_router(0);
    cluster.run_until([&] { return cluster.view(ticket).tokens.size() > (seen + 100) / 2; });
    cluster.lose_router(1);
    cluster.pass(3s);
    INFO("lost after " << seen << ": " << cluster.view(ticket).refusal_sentence);
    REQUIRE(cluster.view(ticket).ended());
    CHECK(cluster.view(ticket).tokens == cluster.foretold(prompt_ids, 100));
    CHECK(cluster.view(ticket).last().finish == finish_reason::length);
    CHECK(ends_of(cluster.view(ticket)) == 1);
  }
}

TEST_CASE("a resuming client whose routers are all lost gets one error") {
  simulated_cluster cluster{{.routers = 2}};
  auto ticket = cluster.submit_resuming(ask_for(400));
  REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() > 5; }));
  cluster.lose_router(0);
  cluster.lose_router(1);
  cluster.pass(60s);
  REQUIRE(cluster.view(ticket).ended());
  CHECK(ends_of(cluster.view(ticket)) == 1);
  CHECK(cluster.view(ticket).last().error_code == "rank_lost");
}
