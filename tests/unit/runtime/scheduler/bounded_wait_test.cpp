// SPDX-License-Identifier: Apache-2.0
// The scheduler's bound on the wait of new requests.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;

namespace {

/// Two sequences at a time, 100 ms a step, and a bound of 1 s.
scheduler_options bounded() {
  auto options = small_options();
  options.max_sequences = 2;
  options.max_queue = 100;
  options.max_wait_ms = 1000;
  return options;
}

generation_request exact(std::uint64_t id, std::uint32_t tokens) {
  auto request = ask(id, {1, static_cast<token_id>(id)}, tokens);
  request.stops.ignore_eos = true;
  return request;
}

void step(rehearsal& stage) {
  stage.plan();
  stage.complete(100'000);
}

}  // namespace

TEST_CASE("a new request is refused when it would wait too long, and one that has a promise never") {
  rehearsal stage(bounded());
  for (std::uint64_t id = 1; id <= 2; ++id)
    REQUIRE(stage.enqueue(exact(id, 25)).accepted());
  for (int i = 0; i < 5; ++i)
    step(stage);  // 20 tokens to go: 2 s
  const auto refused = stage.enqueue(exact(3, 5));
  CHECK(refused.reason == refusal::would_wait);
  CHECK_THAT(static_cast<double>(refused.retry_after_us), WithinRel(1e6, 0.15));
  CHECK(refused.closed_us > 0);
  CHECK_THAT(refused.sentence, ContainsSubstring("1000 ms is the bound"));

  CHECK(stage.enqueue(exact(4, 5), {.promised = true}).accepted());
  auto resumed = exact(5, 5);
  resumed.tokens.push_back(7);
  CHECK(stage.enqueue(resumed).accepted());
  auto background = exact(6, 5);
  background.priority = -1;
  CHECK(stage.enqueue(background).accepted());
  auto suspect = exact(7, 5);
  suspect.trial_until = 9;
  CHECK(stage.enqueue(suspect).accepted());
}

TEST_CASE("what is refused may come in when it was told to come back") {
  rehearsal stage(bounded());
  for (std::uint64_t id = 1; id <= 2; ++id)
    REQUIRE(stage.enqueue(exact(id, 25)).accepted());
  for (int i = 0; i < 5; ++i)
    step(stage);
  const auto refused = stage.enqueue(exact(3, 5));
  REQUIRE(refused.reason == refusal::would_wait);
  for (std::uint64_t passed = 0; passed < refused.retry_after_us; passed += 100'000)
    step(stage);
  CHECK(stage.enqueue(exact(3, 5)).accepted());
}

TEST_CASE("background requests are no wait for the others but where they run already") {
  rehearsal stage(bounded());
  for (std::uint64_t id = 1; id <= 40; ++id) {
    auto background = exact(id, 4);
    background.priority = -1;
    REQUIRE(stage.enqueue(background).accepted());
  }
  for (int i = 0; i < 4; ++i)
    step(stage);
  CHECK(stage.stats().waiting > 30);
  CHECK(stage.enqueue(exact(100, 4)).accepted());
}

TEST_CASE("nothing is refused while every request that comes finds a free sequence") {
  rehearsal stage(bounded());
  std::uint64_t id = 0;
  for (int i = 0; i < 300; ++i) {
    while (stage.stats().running + stage.stats().waiting < 2) {
      ++id;
      REQUIRE(stage.enqueue(exact(id, 3 + static_cast<std::uint32_t>(id) % 7)).accepted());
    }
    step(stage);
  }
  CHECK(stage.stats().requests_refused == 0);
  CHECK(id > 80);
}

TEST_CASE("an engine whose step does not end keeps new requests from waiting behind it") {
  rehearsal stage(bounded());
  for (std::uint64_t id = 1; id <= 2; ++id)
    REQUIRE(stage.enqueue(exact(id, 8)).accepted());
  for (int i = 0; i < 4; ++i)
    step(stage);
  stage.plan();
  CHECK(stage.enqueue(exact(3, 2), {.step_age_us = 50'000}).accepted());
  CHECK(stage.enqueue(exact(4, 2), {.step_age_us = 5'000'000}).reason == refusal::would_wait);
}
