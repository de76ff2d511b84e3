// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::uint32_t long_prompt = 32'768;

scheduler_options large() {
  auto options = small_options();
  options.blocks = 12'000;
  options.block_tokens = 16;
  options.context_length = 40'000;
  options.max_sequences = 64;
  options.max_batch_tokens = 2'048;
  options.max_queue = 256;
  return options;
}

std::uint64_t p99(std::vector<std::uint64_t> values) {
  std::ranges::sort(values);
  return values[(values.size() - 1) * 99 / 100];
}

}  // namespace

TEST_CASE("running answers get a token in every step while 32k prompts are prefilled") {
  rehearsal stage(large());
  for (std::uint32_t id = 1; id <= 16; ++id)
    stage.enqueue(ask(id, prompt_of(20, id), 80));
  stage.step();
  for (std::uint32_t id = 17; id <= 19; ++id)
    stage.enqueue(ask(id, prompt_of(long_prompt, id), 2));
  stage.run_until_idle();
  std::vector<std::uint64_t> gaps;
  for (std::uint64_t id = 1; id <= 16; ++id) {
    const auto& steps = stage.of(request_id{id}).steps;
    for (std::size_t i = 1; i < steps.size(); ++i)
      gaps.push_back(steps[i] - steps[i - 1]);
  }
  REQUIRE(gaps.size() == 16 * 79);
  CHECK(p99(gaps) == 1);
  CHECK(*std::ranges::max_element(gaps) == 1);
  CHECK(stage.of(request_id{17}).steps.front() > 16);  // the prompts were there all the time
}

TEST_CASE("short prompts do not wait for 32k prompts, and these get through all the same") {
  rehearsal stage(large());
  for (std::uint32_t id = 1; id <= 4; ++id)
    stage.enqueue(ask(id, prompt_of(long_prompt, id), 2));
  stage.step();
  std::map<std::uint64_t, std::uint64_t> arrived;
  for (std::uint32_t id = 5; id <= 60; ++id) {  // a short one in every step
    arrived[id] = stage.stats().steps;
    stage.enqueue(ask(id, prompt_of(100 + id, id), 4));
    stage.step();
  }
  stage.run_until_idle();
  std::vector<std::uint64_t> waits;
  for (const auto& [id, step] : arrived)
    waits.push_back(stage.of(request_id{id}).steps.front() - step);
  CHECK(p99(waits) == 1);
  // Half of each step is the first long prompt's; nothing takes longer than all of them one after the other at that
  // rate.
  std::uint64_t last = 0;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    CHECK(stage.of(request_id{id}).steps.front() <= id * (long_prompt / 1'000 + 1));
    CHECK(stage.of(request_id{id}).steps.front() > last);
    last = stage.of(request_id{id}).steps.front();
  }
}

TEST_CASE("short prompts that never end do not starve a long one") {
  rehearsal stage(large());
  stage.enqueue(ask(1, prompt_of(long_prompt, 1), 1));
  std::uint32_t id = 2;
  while (stage.of(request_id{1}).endings == 0) {
    for (int i = 0; i < 3; ++i, ++id)
      REQUIRE(stage.enqueue(ask(id, prompt_of(1'500, id), 1)).accepted());
    stage.step();
    REQUIRE(stage.stats().steps <= long_prompt / 1'000);
  }
  CHECK(stage.stats().waiting > 0);
}

TEST_CASE("a small request passes a large one that does not fit, but only so often") {
  auto options = small_options();
  options.blocks = 40;
  options.max_queue = 1'000;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(40, 1), 100));
  stage.step();
  stage.enqueue(ask(2, prompt_of(130, 2), 1));  // fits only alone
  std::uint32_t id = 3;
  std::size_t passed = 0;
  while (stage.of(request_id{2}).endings == 0) {
    while (stage.stats().waiting < 4)
      stage.enqueue(ask(id, prompt_of(4, id % 50), 2)), ++id;
    REQUIRE(stage.step());
    passed = static_cast<std::size_t>(std::ranges::count_if(
        stage.performances(), [](const auto& each) { return each.first.value > 2 && each.second.endings == 1; }));
    REQUIRE(passed < 100);
  }
  CHECK(passed >= 10);
}

TEST_CASE("a greater priority is served first") {
  auto options = small_options();
  options.max_sequences = 1;
  rehearsal stage(options);
  for (std::uint32_t id = 1; id <= 4; ++id) {
    auto request = ask(id, prompt_of(6, id), 2);
    request.priority = static_cast<std::int32_t>(id % 3);
    stage.enqueue(request);
  }
  stage.run_until_idle();
  const auto start = [&stage](std::uint64_t id) { return stage.of(request_id{id}).steps.front(); };
  CHECK(start(2) < start(1));
  CHECK(start(1) < start(4));
  CHECK(start(4) < start(3));
}

TEST_CASE("equal requests are served in the order of arrival") {
  auto options = small_options();
  options.max_sequences = 2;
  rehearsal stage(options);
  for (std::uint32_t id = 1; id <= 8; ++id)
    stage.enqueue(ask(9 - id, prompt_of(6, id), 3));
  stage.run_until_idle();
  for (std::uint64_t id = 2; id <= 8; ++id)
    CHECK(stage.of(request_id{id}).steps.front() <= stage.of(request_id{id - 1}).steps.front());
}
