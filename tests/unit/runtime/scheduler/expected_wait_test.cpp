// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/expected_wait.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/scheduler/admission.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

constexpr double ms = 1000;
constexpr double bound = 1600 * ms;  // judged to 100 ms

/// 20 ms a token, prompts cost nothing, nobody stops early.
constexpr pace_figures steady{.token_us = 20 * ms, .step_us = 20 * ms, .prompt_us = 0, .stop_rate = 0};

/// Two places, both taken: for 20 tokens more (400 ms) and for 50 (1 s).
group_prospect full_house() {
  group_prospect load;
  load.blocks_free = load.blocks = 1000;
  load.batch_tokens = 2048;
  load.running = {{.tokens_left = 20, .may_stop = false, .blocks = 10},
                  {.tokens_left = 50, .may_stop = false, .blocks = 10}};
  return load;
}

constexpr waiting_load someone{.prompt_tokens = 100, .tokens = 30, .may_stop = false, .blocks = 10};

struct row {
  std::string what;
  group_prospect load;
  pace_figures pace = steady;
  waiting_load request = someone;
  double wait_ms = 0;
  wait_cause cause = wait_cause::nothing;
};

template <class Change>
row with(std::string what, Change change, double wait_ms, wait_cause cause) {
  row out{std::move(what), full_house(), steady, someone, wait_ms, cause};
  change(out);
  return out;
}

}  // namespace

TEST_CASE("the wait that is expected follows from what runs and waits before a request") {
  const row table[] = {
      with(
          "a free place", [](row& x) { x.load.places_free = 1; }, 0, wait_cause::nothing),
      with(
          "no place: the first end", [](row&) {}, 400, wait_cause::places),
      with(
          "one before it takes that", [](row& x) { x.load.ahead = {someone}; }, 1000, wait_cause::places),
      with(
          "two before it: the end of the first of them, 600 ms after it began",
          [](row& x) {
            x.load.ahead = {someone, someone};
          },
          1000, wait_cause::places),
      with(
          "three before it",
          [](row& x) {
            x.load.ahead = {someone, someone, someone};
          },
          1600, wait_cause::places),
      with(
          "a place but no memory", [](row& x) { x.load.places_free = 1, x.load.blocks_free = 5; }, 400,
          wait_cause::blocks),
      with(
          "memory that the running ones will take is not there",
          [](row& x) { x.load.places_free = 1, x.load.blocks_free = -5; }, 1000, wait_cause::blocks),
      with(
          "more memory than there is: all of it",
          [](row& x) { x.load.places_free = 1, x.load.blocks_free = 980, x.request.blocks = 5000; }, 1000,
          wait_cause::blocks),
      with(
          "a long queue: no further than 8 x the bound", [](row& x) { x.load.ahead.assign(500, someone); }, 12'800,
          wait_cause::places),
      with(
          "prompts before it",
          [](row& x) { x.load.places_free = 1, x.load.prompt_tokens_ahead = 10'000, x.pace.prompt_us = 50; }, 580,
          wait_cause::prompts),
      with(
          "prompts are read while it waits for a place",
          [](row& x) { x.load.prompt_tokens_ahead = 2'000, x.pace.prompt_us = 100; }, 400, wait_cause::places),
      with(
          "a step that hangs", [](row& x) { x.load.overdue_us = 300 * ms; }, 700, wait_cause::places),
      with(
          "a step that hangs does not keep it from a free place",
          [](row& x) { x.load.places_free = 1, x.load.overdue_us = 300 * ms; }, 0, wait_cause::nothing),
      with(
          "nothing known of the pace", [](row& x) { x.pace = {}; }, 0, wait_cause::nothing),
      with(
          "nothing before it, and it is huge",
          [](row& x) { x.load.running.clear(), x.load.blocks_free = 3, x.request.blocks = 9000; }, 0,
          wait_cause::nothing),
  };
  for (const auto& each : table) {
    INFO(each.what);
    const auto found = expect_wait(each.load, each.request, each.pace, bound);
    CHECK_THAT(found.us / ms, WithinAbs(each.wait_ms, 0.5));
    CHECK(found.cause == each.cause);
  }
}

TEST_CASE("of many that may stop some one stops soon, and of those that may not none does") {
  group_prospect load;
  load.blocks_free = load.blocks = 1000;
  load.running.assign(64, {.tokens_left = 30'000, .may_stop = true, .blocks = 4});
  auto pace = steady;
  pace.stop_rate = 1.0 / 200;
  // 64 (1 - e^(-t/200)) reaches 1 after 3.2 tokens: 63 ms, found within the next 100 ms.
  CHECK_THAT(expect_wait(load, someone, pace, bound).us / ms, WithinAbs(100, 0.5));
  auto long_one = someone;
  long_one.tokens = 5'000;
  load.ahead.assign(20, long_one);
  // and 21 after 79.6 tokens: 1.59 s.
  CHECK_THAT(expect_wait(load, someone, pace, bound).us / ms, WithinAbs(1600, 0.5));
  for (auto& each : load.running)
    each.may_stop = false;
  CHECK_THAT(expect_wait(load, someone, pace, bound).us / ms, WithinAbs(12'800, 0.5));
}

TEST_CASE("a refusal names the wait, the bound, what is waited for and when to come back") {
  scheduler_stats now;
  now.running = 64;
  now.waiting = 7;
  CHECK(judge_wait({2000 * ms, wait_cause::places}, {}, 2000, now).accepted());
  const auto refused = judge_wait({3200.2 * ms, wait_cause::blocks}, {2500 * ms, wait_cause::places}, 2000, now);
  CHECK(refused.reason == refusal::would_wait);
  CHECK(refused.retry_after_us == 1'200'200);
  CHECK(refused.closed_us == 500'000);
  CHECK_THAT(refused.sentence,
             ContainsSubstring("3200 ms for KV memory") && ContainsSubstring("2000 ms is the bound") &&
                 ContainsSubstring("64 sequences run and 7 requests wait") && ContainsSubstring("again in 1200 ms"));
  CHECK(judge_wait({3200 * ms, wait_cause::blocks}, {1000 * ms, wait_cause::places}, 2000, now).closed_us == 0);
}

TEST_CASE("the pace is learned from the steps, the starts and the ends") {
  pace learned;
  CHECK(learned.figures().token_us == 0);
  CHECK_THAT(learned.figures().stop_rate, WithinRel(1.0 / 256, 1e-9));
  for (int i = 0; i < 200; ++i)
    learned.note_step(20 * ms, 0, 1);
  CHECK_THAT(learned.figures().token_us, WithinRel(20 * ms, 1e-6));
  CHECK(learned.figures().prompt_us == 0);
  for (int i = 0; i < 1000; ++i)
    learned.note_step(20 * ms + 1000 * 30, i % 2 == 0 ? 1000 : 0,
                      1);  // as slow without a prompt: it is not the prompts
  CHECK_THAT(learned.figures().prompt_us, WithinAbs(0, 0.5));
  for (int i = 0; i < 600; ++i)
    learned.note_step(20 * ms + (i % 2 == 0 ? 1000 * 30 : 0), i % 2 == 0 ? 1000 : 0, 1);
  CHECK_THAT(learned.figures().prompt_us, WithinRel(30.0, 0.02));
  CHECK_THAT(learned.figures().step_us, WithinRel(20 * ms, 0.02));
  CHECK_THAT(learned.figures().token_us, WithinRel(35 * ms, 0.05));
  learned.note_step(1e12, 0, 1);  // the machine slept
  CHECK(learned.figures().token_us < 50 * ms);

  for (int i = 0; i < 100'000; ++i)
    learned.note_token(i % 50 == 0);
  CHECK_THAT(learned.figures().stop_rate, WithinRel(0.02, 0.1));
  learned.note_start(400, 300);
  CHECK_THAT(learned.figures().computed_share, WithinRel(0.25, 1e-6));
}

TEST_CASE("a pipeline's micro-batches take turns: a token takes as many steps") {
  pace learned;
  for (int i = 0; i < 10; ++i)
    learned.note_step(10 * ms, 0, 3);
  CHECK_THAT(learned.figures().token_us, WithinRel(30 * ms, 1e-6));
  CHECK_THAT(learned.figures().step_us, WithinRel(10 * ms, 1e-6));
}
