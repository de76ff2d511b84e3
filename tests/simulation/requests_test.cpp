// SPDX-License-Identifier: Apache-2.0
// A request's way through router, tokenizer, scheduler_rank, engine_rank and detokenizer, on simulated time.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/simulated_cluster.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::vector<token_id> prompt_ids{5, 6, 7, 8, 9};

}  // namespace

TEST_CASE("an answer is what its history foretells, whatever the group's shape") {
  for (auto [tensor, pipeline] : {std::pair{1U, 1U}, {2U, 1U}, {1U, 3U}, {2U, 2U}}) {
    simulated_cluster cluster{{.tensor = tensor, .pipeline = pipeline}};
    std::vector<std::uint64_t> tickets;
    for (token_id first = 1; first <= 8; ++first)
      tickets.push_back(cluster.submit_tokens({first, 2, 3}, 40));
    cluster.settle();
    for (token_id first = 1; first <= 8; ++first) {
      const auto& view = cluster.view(tickets[static_cast<std::size_t>(first) - 1]);
      INFO("tensor " << tensor << " pipeline " << pipeline << " refusal " << view.refusal_sentence);
      REQUIRE(view.ended());
      CHECK(view.tokens == cluster.foretold({first, 2, 3}, 40));
      CHECK(view.last().finish == finish_reason::length);
      CHECK(view.last().usage.prompt_tokens == 3);
      CHECK(view.last().usage.completion_tokens == 40);
    }
  }
}

TEST_CASE("positions of an answer count up from 0 without a gap") {
  simulated_cluster cluster;
  auto ticket = cluster.submit_tokens(prompt_ids, 30);
  cluster.settle();
  std::uint32_t next = 0;
  for (const auto& event : cluster.view(ticket).events)
    for (const auto& token : event.tokens)
      CHECK(token.position == next++);
  CHECK(next == 30);
}

TEST_CASE("without credit the answer waits, and comes merged once there is credit") {
  simulated_cluster cluster;
  auto ticket = cluster.submit_tokens(prompt_ids, 50, 1);
  cluster.settle();
  REQUIRE(cluster.view(ticket).events.size() == 1);
  CHECK(!cluster.view(ticket).ended());
  cluster.grant_answers(ticket, 1);
  REQUIRE(cluster.view(ticket).events.size() == 2);
  CHECK(cluster.view(ticket).ended());
  CHECK(cluster.view(ticket).tokens == cluster.foretold(prompt_ids, 50));
}

TEST_CASE("a client that takes nothing any more gets one error, and the others are served") {
  simulated_cluster cluster;
  auto stalled = cluster.submit_tokens(prompt_ids, 50, 1);
  cluster.pass(61s);
  REQUIRE(cluster.view(stalled).ended());
  CHECK(cluster.view(stalled).last().error_code == "client_too_slow");
  auto other = cluster.submit_tokens(prompt_ids, 5);
  cluster.settle();
  CHECK(cluster.view(other).tokens == cluster.foretold(prompt_ids, 5));
}

TEST_CASE("a cancelled request ends once, and gives back its blocks") {
  simulated_cluster cluster;
  auto ticket = cluster.submit_tokens(prompt_ids, 400);
  REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() > 10; }));
  cluster.cancel_request(ticket);
  cluster.settle();
  REQUIRE(cluster.view(ticket).ended());
  CHECK(cluster.view(ticket).last().finish == finish_reason::abort);
  CHECK(cluster.view(ticket).tokens.size() < 400);
  auto state = cluster.group_state().scheduler;
  CHECK(state.running == 0);
  CHECK(state.blocks_used == 0);
  CHECK(cluster.router_state().live == 0);
}

TEST_CASE("a client that dies takes its requests with it") {
  simulated_cluster cluster;
  auto ticket = cluster.submit_tokens(prompt_ids, 400);
  REQUIRE(cluster.run_until([&] { return cluster.view(ticket).tokens.size() > 10; }));
  cluster.lose_client(ticket);
  cluster.settle();
  CHECK(cluster.router_state().live == 0);
  CHECK(cluster.router_state().cancelled == 1);
  CHECK(cluster.group_state().scheduler.blocks_used == 0);
}

TEST_CASE("a request whose deadline passes ends with one error") {
  simulated_cluster cluster;
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  what.prompt.tokens = prompt_ids;
  what.stops.max_tokens = 50;
  what.deadline_ms = 2000;
  auto ticket = cluster.submit_generation(what, 1);  // waits for credit that never comes
  cluster.pass(3s);
  REQUIRE(cluster.view(ticket).ended());
  CHECK(cluster.view(ticket).last().error_code == "deadline_exceeded");
}

TEST_CASE("what cannot be served is refused with the numbers and the remedy") {
  simulated_cluster cluster;
  auto refusal_of = [&](auto change) {
    generation what;
    what.prompt.kind = prompt_kind::tokens;
    what.prompt.tokens = prompt_ids;
    change(what);
    auto ticket = cluster.submit_generation(what);
    cluster.settle();
    CHECK(cluster.view(ticket).events.empty());
    return cluster.view(ticket).refusal + ": " + cluster.view(ticket).refusal_sentence;
  };
  CHECK_THAT(refusal_of([](generation& x) { x.prompt.tokens.assign(600, 1); }),
             ContainsSubstring("context_length_exceeded") && ContainsSubstring("600") && ContainsSubstring("512"));
  CHECK_THAT(refusal_of([](generation& x) { x.prompt.tokens.clear(); }),
             ContainsSubstring("invalid_request") && ContainsSubstring("empty"));
  CHECK_THAT(refusal_of([](generation& x) {
               x.prompt.tokens = {1, 5000};
             }),
             ContainsSubstring("5000") && ContainsSubstring("0 to 999"));
  CHECK_THAT(refusal_of([](generation& x) { x.model = "other"; }),
             ContainsSubstring("model_not_found") && ContainsSubstring("simulated"));
  CHECK_THAT(refusal_of([](generation& x) { x.sampling.temperature = -1; }), ContainsSubstring("temperature"));
  CHECK_THAT(refusal_of([](generation& x) { x.stop_strings.assign(99, "x"); }), ContainsSubstring("stop"));
  CHECK_THAT(refusal_of([](generation& x) {
               x.prompt = {prompt_kind::text, "words", {}, {}};
             }),
             ContainsSubstring("tokenizer"));
  auto good = cluster.submit_tokens(prompt_ids, 5);
  cluster.settle();
  CHECK(cluster.view(good).tokens == cluster.foretold(prompt_ids, 5));
}

TEST_CASE("a full queue answers at once, and what was accepted is served") {
  simulated_cluster cluster{{.blocks = 8, .max_queue = 2}};
  std::vector<std::uint64_t> tickets;
  for (token_id first = 1; first <= 12; ++first)
    tickets.push_back(cluster.submit_tokens({first, 2, 3}, 60));
  cluster.settle();
  std::size_t refused = 0;
  for (auto ticket : tickets) {
    const auto& view = cluster.view(ticket);
    if (view.refusal == "queue_full")
      ++refused;
    else
      CHECK(view.tokens.size() == 60);
  }
  CHECK(refused > 0);
  CHECK(refused < tickets.size());
}

TEST_CASE("a draining node refuses new requests and ends after the last accepted one") {
  simulated_cluster cluster;
  auto running = cluster.submit_tokens(prompt_ids, 100);
  REQUIRE(cluster.run_until([&] { return cluster.view(running).tokens.size() > 5; }));
  auto drained = cluster.drain_node();
  REQUIRE(cluster.run_until([&] { return cluster.view(running).tokens.size() > 10; }));
  CHECK(!*drained);
  auto late = cluster.submit_tokens(prompt_ids, 5);
  cluster.settle();
  CHECK(cluster.view(late).refusal == "draining");
  CHECK(cluster.view(running).tokens == cluster.foretold(prompt_ids, 100));
  CHECK(*drained);
}

TEST_CASE("requests spread over the groups") {
  simulated_cluster cluster{{.groups = 2}};
  for (token_id first = 1; first <= 6; ++first)
    cluster.submit_tokens({first, 2, 3}, 30);
  cluster.settle();
  CHECK(cluster.group_state().scheduler.requests_finished == 3);
}
