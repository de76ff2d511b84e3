// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Memory for 48 tokens; two requests of 16 tokens fit, and do not when they have grown.
scheduler_options tight() {
  auto options = small_options();
  options.blocks = 12;
  return options;
}

void check_outputs(const rehearsal& stage) {
  for (const auto& [id, seen] : stage.performances()) {
    INFO("request " << id.value);
    CHECK(seen.output == stage.sequential(seen.request));
    CHECK(seen.endings == 1);
  }
}

}  // namespace

TEST_CASE("when memory runs out the youngest gives way and its output continues exactly") {
  rehearsal stage(tight());
  stage.enqueue(ask(1, prompt_of(16, 1), 30));
  stage.enqueue(ask(2, prompt_of(16, 2), 30));
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  CHECK(stage.stats().running == 1);
  const auto so_far = stage.of(request_id{2}).output.size();
  CHECK(so_far > 0);
  CHECK(so_far < 30);
  stage.run_until_idle();
  check_outputs(stage);
}

TEST_CASE("a lower priority gives way before a younger request") {
  rehearsal stage(tight());
  auto low = ask(1, prompt_of(16, 1), 30);
  low.priority = -1;
  stage.enqueue(low);
  stage.enqueue(ask(2, prompt_of(16, 2), 30));
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  stage.run_until_idle();
  check_outputs(stage);
  const auto& steps = stage.of(request_id{2}).steps;
  CHECK(steps.back() - steps.front() == steps.size() - 1);  // the other one never stood still
}

TEST_CASE("a preempted request comes before the waiting ones and under a new sequence") {
  rehearsal stage(tight());
  stage.enqueue(ask(1, prompt_of(16, 1), 30));
  stage.enqueue(ask(2, prompt_of(16, 2), 30));
  stage.step();
  stage.enqueue(ask(3, prompt_of(28, 3), 1));  // waits: there is no room
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  CHECK(stage.stats().waiting == 2);
  std::vector<sequence_start> started;
  while (started.empty()) {
    const auto* plan = stage.plan();
    REQUIRE(plan != nullptr);
    started = plan->started;
    stage.complete();
  }
  CHECK(started[0].sequence == sequence_id{3});  // the third one started
  CHECK(started[0].prompt_tokens == 16);
  stage.run_until_idle();
  check_outputs(stage);
  CHECK(stage.of(request_id{2}).steps.back() < stage.of(request_id{3}).steps.back());
}

TEST_CASE("a preempted request comes before an older one that it had passed") {
  rehearsal stage(tight());
  stage.enqueue(ask(1, prompt_of(16, 1), 30));
  stage.enqueue(ask(2, prompt_of(40, 2), 1));  // does not fit beside the first
  stage.enqueue(ask(3, prompt_of(16, 3), 30));
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  stage.run_until_idle();
  CHECK(stage.of(request_id{3}).steps.back() < stage.of(request_id{2}).steps.front());
  check_outputs(stage);
}

TEST_CASE("nobody else gives way while blocks are on their way") {
  auto options = tight();
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  rehearsal stage(options);
  // All three need a fifth block in the same step; what one of them has is enough for the others.
  for (std::uint32_t id = 1; id <= 3; ++id)
    stage.enqueue(ask(id, prompt_of(12, id), 10));
  stage.run_until_idle();
  CHECK(stage.stats().preemptions == 1);
  check_outputs(stage);
}

TEST_CASE("a preempted request reuses what is still cached of it") {
  rehearsal stage(tight());
  stage.enqueue(ask(1, prompt_of(16, 1), 10));
  stage.enqueue(ask(2, prompt_of(16, 2), 30));
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  stage.run_until_idle();
  CHECK(stage.stats().prefix_tokens_reused == 20);  // five of its six blocks; the first request took one
  check_outputs(stage);
}

TEST_CASE("a victim in flight keeps the tokens of its last steps") {
  for (const bool feed_sampled : {false, true}) {
    auto options = tight();
    options.plans_in_flight = 2;
    options.feed_sampled = feed_sampled;
    rehearsal stage(options);
    for (std::uint32_t id = 1; id <= 4; ++id)
      stage.enqueue(ask(id, prompt_of(9, id), 30));
    stage.run_until_idle();
    CHECK(stage.stats().preemptions > 0);
    check_outputs(stage);
  }
}

TEST_CASE("the oldest of the highest priority is never preempted while others run") {
  rehearsal stage(tight());
  for (std::uint32_t id = 1; id <= 6; ++id)
    stage.enqueue(ask(id, prompt_of(7, id), 35));
  stage.run_until_idle();
  CHECK(stage.stats().preemptions > 0);
  const auto& steps = stage.of(request_id{1}).steps;
  CHECK(steps.back() - steps.front() == steps.size() - 1);
  check_outputs(stage);
}

TEST_CASE("a preempted request can be cancelled") {
  rehearsal stage(tight());
  stage.enqueue(ask(1, prompt_of(16, 1), 30));
  stage.enqueue(ask(2, prompt_of(16, 2), 30));
  while (stage.stats().preemptions == 0)
    REQUIRE(stage.step());
  CHECK(stage.abort(request_id{2}) == abort_result::ended);
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).output == stage.sequential(stage.of(request_id{1}).request));
}
