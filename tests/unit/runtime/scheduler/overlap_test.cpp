// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

scheduler_options overlapping() {
  auto options = small_options();
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  return options;
}

}  // namespace

TEST_CASE("the next step is planned while one runs and feeds the token unseen") {
  rehearsal stage(overlapping());
  stage.enqueue(ask(1, prompt_of(5, 1), 10));
  CHECK(stage.plan()->entries[0].tokens.size() == 5);
  const auto* next = stage.plan();
  REQUIRE(next != nullptr);
  CHECK(next->entries[0].feed_sampled);
  CHECK(next->entries[0].position == 5);
  CHECK(next->entries[0].tokens.empty());
  CHECK(stage.plan() == nullptr);
}

TEST_CASE("a stop noticed one step late shows no token more, and its blocks come back after that step") {
  auto request = ask(1, prompt_of(5, 1), 40);
  request.stops.stop_ids = {rehearsal(overlapping()).sequential(request)[0]};
  rehearsal stage(overlapping());
  stage.enqueue(request);
  stage.plan();
  stage.plan();
  stage.complete();
  CHECK(stage.of(request_id{1}).finish == finish_reason::stop);
  CHECK(stage.stats().blocks_used > 0);
  CHECK(stage.abort(request_id{1}) == abort_result::unknown);
  stage.complete();
  CHECK(stage.of(request_id{1}).output.size() == 1);
  CHECK(stage.stats().blocks_used == 0);
}

TEST_CASE("max_tokens is known in advance and costs no step too many") {
  rehearsal stage(overlapping());
  stage.enqueue(ask(1, prompt_of(5, 1), 6));
  stage.run_until_idle();
  CHECK(stage.stats().steps == 6);
  CHECK(stage.of(request_id{1}).output.size() == 6);
}

TEST_CASE("a request id may come back while the last step of its first sequence runs") {
  auto request = ask(1, prompt_of(5, 1), 40);
  request.stops.stop_ids = {rehearsal(overlapping()).sequential(request)[0]};
  rehearsal stage(overlapping());
  stage.enqueue(request);
  stage.plan();
  stage.plan();
  stage.complete();  // finished; the second step still runs
  REQUIRE(stage.enqueue(request).accepted());
  stage.plan();
  stage.complete();
  CHECK(stage.enqueue(request).reason == refusal::duplicate);
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).output == stage.sequential(request));
}

TEST_CASE("the chunks of a prompt follow each other without waiting for results") {
  auto options = overlapping();
  options.max_batch_tokens = 10;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(25, 1), 3));
  CHECK(stage.plan()->entries[0].position == 0);
  CHECK(stage.plan()->entries[0].position == 10);
}

TEST_CASE("overlapped steps give the tokens of steps one after the other") {
  for (const auto depth : {1U, 2U, 4U}) {
    auto options = overlapping();
    options.plans_in_flight = depth;
    options.eos_ids = {3};
    rehearsal stage(options);
    for (std::uint32_t id = 1; id <= 20; ++id) {
      stage.enqueue(ask(id, prompt_of(id, id), 25));
      stage.step();
    }
    stage.run_until_idle();
    for (const auto& [id, seen] : stage.performances())
      CHECK(seen.output == stage.sequential(seen.request));
  }
}

TEST_CASE("a pipeline's sequences are spread over as many micro-batches as it has stages") {
  auto options = small_options();
  options.plans_in_flight = 3;
  rehearsal stage(options);
  for (std::uint32_t id = 1; id <= 6; ++id)
    stage.enqueue(ask(id, prompt_of(3, id), 30));
  for (int i = 0; i < 4; ++i)
    stage.step();
  while (stage.complete()) {
  }
  std::set<sequence_id> in_flight;
  for (int stages = 0; stages < 3; ++stages) {
    const auto* plan = stage.plan();
    REQUIRE(plan != nullptr);
    CHECK(plan->entries.size() == 2);
    for (const auto& entry : plan->entries) {
      CHECK_FALSE(entry.feed_sampled);
      CHECK(in_flight.insert(entry.sequence).second);
    }
  }
  stage.run_until_idle();
  for (const auto& [id, seen] : stage.performances())
    CHECK(seen.output == stage.sequential(seen.request));
}
