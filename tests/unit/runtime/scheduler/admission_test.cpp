// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/admission.hpp"

#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a prompt too long for the context is refused with both numbers") {
  rehearsal stage(small_options());
  const auto answer = stage.enqueue(ask(1, prompt_of(256, 1), 4));
  CHECK(answer.reason == refusal::context_too_long);
  CHECK_THAT(answer.sentence, ContainsSubstring("has 256 tokens") && ContainsSubstring("at most 255"));
  CHECK(stage.enqueue(ask(1, prompt_of(255, 1), 4)).accepted());
}

TEST_CASE("a prompt that the KV memory can never hold is refused with both numbers") {
  auto options = small_options();
  options.blocks = 10;
  rehearsal stage(options);
  const auto answer = stage.enqueue(ask(1, prompt_of(41, 1), 4));
  CHECK(answer.reason == refusal::never_fits);
  CHECK_THAT(answer.sentence, ContainsSubstring("41 tokens") && ContainsSubstring("holds 40 (10 blocks of 4)"));
  REQUIRE(stage.enqueue(ask(1, prompt_of(40, 1), 4)).accepted());
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).finish == finish_reason::length);
}

TEST_CASE("an empty prompt is refused") {
  rehearsal stage(small_options());
  CHECK(stage.enqueue(ask(1, {}, 4)).reason == refusal::empty_prompt);
  auto no_prompt = ask(1, {5, 6}, 4);
  no_prompt.prompt_tokens = 0;
  CHECK(stage.enqueue(no_prompt).reason == refusal::empty_prompt);
}

TEST_CASE("counts that contradict each other are refused") {
  rehearsal stage(small_options());
  auto request = ask(1, {5, 6}, 4);
  request.prompt_tokens = 3;
  CHECK(stage.enqueue(request).reason == refusal::malformed);
  CHECK(stage.enqueue(ask(1, {5, 6}, 0)).reason == refusal::malformed);
}

TEST_CASE("the queue is bounded and a full one answers") {
  auto options = small_options();
  options.max_queue = 2;
  rehearsal stage(options);
  CHECK(stage.enqueue(ask(1, {1}, 4)).accepted());
  CHECK(stage.enqueue(ask(2, {2}, 4)).accepted());
  const auto answer = stage.enqueue(ask(3, {3}, 4));
  CHECK(answer.reason == refusal::queue_full);
  CHECK_THAT(answer.sentence, ContainsSubstring("2 requests wait and at most 2 may"));
  stage.step();
  CHECK(stage.enqueue(ask(3, {3}, 4)).accepted());
}

TEST_CASE("a request that is not finished is refused a second time") {
  rehearsal stage(small_options());
  CHECK(stage.enqueue(ask(1, {1}, 2)).accepted());
  CHECK(stage.enqueue(ask(1, {1}, 2)).reason == refusal::duplicate);
  stage.step();
  CHECK(stage.enqueue(ask(1, {1}, 2)).reason == refusal::duplicate);
  stage.run_until_idle();
  CHECK(stage.enqueue(ask(1, {1}, 2)).accepted());
}

TEST_CASE("a full KV memory makes requests wait, not fail") {
  auto options = small_options();
  options.blocks = 8;
  rehearsal stage(options);
  for (std::uint64_t id = 1; id <= 6; ++id)
    REQUIRE(stage.enqueue(ask(id, prompt_of(20, static_cast<std::uint32_t>(id)), 6)).accepted());
  stage.step();
  CHECK(stage.stats().waiting > 0);
  stage.run_until_idle();
  for (const auto& [id, seen] : stage.performances())
    CHECK(seen.output == stage.sequential(seen.request));
}

TEST_CASE("a request is admitted without memory for all the tokens that it may ask for") {
  rehearsal stage(small_options());  // memory for 256 tokens in all
  for (std::uint64_t id = 1; id <= 8; ++id)
    REQUIRE(stage.enqueue(ask(id, prompt_of(8, static_cast<std::uint32_t>(id)), 200)).accepted());
  stage.plan();
  CHECK(stage.stats().running == 8);
  CHECK(stage.stats().blocks_used == 16);
}

TEST_CASE("a request is admitted only while every running sequence could take one more block") {
  auto options = small_options();
  options.blocks = 12;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(15, 1), 9));
  stage.enqueue(ask(2, prompt_of(15, 2), 9));
  stage.enqueue(ask(3, prompt_of(15, 3), 9));  // its four blocks are there
  stage.plan();
  CHECK(stage.stats().running == 2);
  stage.complete();
  stage.enqueue(ask(4, prompt_of(7, 4), 9));
  stage.plan();
  CHECK(stage.stats().running == 3);
  stage.run_until_idle();
}

TEST_CASE("an option out of range is named with its range") {
  auto options = small_options();
  options.block_tokens = 0;
  CHECK_THROWS_MATCHES(scheduler(options), std::invalid_argument,
                       Catch::Matchers::Message("block_tokens is 0 and must be between 1 and 4096"));
  options = small_options();
  options.blocks = 2'000'000'000;
  options.block_tokens = 16;
  CHECK_THROWS_AS(scheduler(options), std::invalid_argument);
}
