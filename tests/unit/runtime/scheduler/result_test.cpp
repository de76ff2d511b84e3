// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Two steps in flight; a spoilt copy of the first result is offered, then the right ones.
void expect_refused(const std::function<void(step_result&)>& spoil, const char* finding) {
  auto options = small_options();
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(5, 1), 10));
  stage.enqueue(ask(2, prompt_of(6, 2), 10));
  stage.plan();
  stage.plan();
  auto spoilt = stage.results().front();
  spoil(spoilt);
  CHECK_THROWS_MATCHES(stage.subject().complete(spoilt), result_error,
                       Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring(finding)));
  stage.subject().check();
  stage.run_until_idle();
  for (const auto& [id, seen] : stage.performances())
    CHECK(seen.output == stage.sequential(seen.request));
  CHECK(stage.stats().blocks_used == 0);
}

}  // namespace

TEST_CASE("a result of another epoch is refused and changes nothing") {
  expect_refused([](auto& result) { result.epoch.value = 9; },
                 "of step 1 in epoch 9, and step 1 in epoch 1 is the next");
}

TEST_CASE("a result out of order is refused and changes nothing") {
  expect_refused([](auto& result) { result.step = 2; }, "of step 2 in epoch 1, and step 1");
  expect_refused([](auto& result) { result.step = 0; }, "of step 0");
}

TEST_CASE("a result with too few or too many tokens is refused and changes nothing") {
  expect_refused([](auto& result) { result.sampled.pop_back(); }, "has 1 sampled tokens, and its plan asks for 2");
  expect_refused([](auto& result) { result.sampled.push_back(result.sampled[0]); }, "has 3 sampled tokens");
  expect_refused([](auto& result) { result.sampled.clear(); }, "has 0 sampled tokens");
}

TEST_CASE("a result for other sequences or positions is refused and changes nothing") {
  expect_refused([](auto& result) { std::swap(result.sampled[0], result.sampled[1]); }, "a token of sequence");
  expect_refused([](auto& result) { result.sampled[1].sequence.value = 77; }, "a token of sequence 77");
  expect_refused([](auto& result) { result.sampled[1].position = 55; }, "at position 55");
  expect_refused([](auto& result) { result.sampled[0].token = -1; }, "token id -1");
}

TEST_CASE("a result twice or of no step is refused") {
  rehearsal stage(small_options());
  CHECK_THROWS_AS(stage.subject().complete({.epoch = epoch{1}, .step = 1, .sampled = {}}), result_error);
  stage.enqueue(ask(1, prompt_of(5, 1), 10));
  stage.plan();
  const auto result = stage.results().front();
  stage.complete();
  CHECK_THROWS_AS(stage.subject().complete(result), result_error);
  stage.plan();
  CHECK_THROWS_AS(stage.subject().complete(result), result_error);
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).output.size() == 10);
}

TEST_CASE("a token's logprobs reach its update") {
  scheduler subject(small_options());
  subject.enqueue(ask(1, {4}, 1));
  const auto plan = subject.plan();
  REQUIRE(plan);
  const auto outcome = subject.complete(
      {.epoch = epoch{1}, .step = 1, .sampled = {{plan->entries[0].sequence, 1, 9, -0.5F, {{9, -0.5F}, {2, -1.5F}}}}});
  REQUIRE(outcome.updates.size() == 1);
  CHECK(outcome.updates[0].request == request_id{1});
  CHECK(outcome.updates[0].finish == finish_reason::length);
  CHECK(outcome.updates[0].tokens == std::vector<new_token>{{1, 9, -0.5F, {{9, -0.5F}, {2, -1.5F}}}});
}
