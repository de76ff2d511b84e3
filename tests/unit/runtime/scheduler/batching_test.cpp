// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

std::vector<std::size_t> lengths(const step_plan& plan) {
  std::vector<std::size_t> all;
  for (const auto& entry : plan.entries)
    all.push_back(entry.tokens.size());
  return all;
}

}  // namespace

TEST_CASE("a request that arrives while others run joins their next step") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(5, 1), 20));
  stage.step();
  stage.step();
  stage.enqueue(ask(2, prompt_of(9, 2), 20));
  const auto* plan = stage.plan();
  REQUIRE(plan != nullptr);
  CHECK(lengths(*plan) == std::vector<std::size_t>{1, 9});
  CHECK(plan->started.size() == 1);
}

TEST_CASE("a finished sequence makes room for the next in the following step") {
  auto options = small_options();
  options.max_sequences = 1;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(5, 1), 1));
  stage.enqueue(ask(2, prompt_of(5, 2), 1));
  stage.step();
  const auto* plan = stage.plan();
  REQUIRE(plan != nullptr);
  CHECK(plan->ended == std::vector{sequence_id{1}});
  CHECK(plan->started.size() == 1);
}

TEST_CASE("a prompt longer than the budget is fed in chunks and samples once, at its end") {
  auto options = small_options();
  options.max_batch_tokens = 10;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(25, 1), 3));
  for (const auto& [size, sample] : {std::pair{10U, false}, {10U, false}, {5U, true}, {1U, true}}) {
    const auto* plan = stage.plan();
    REQUIRE(plan != nullptr);
    REQUIRE(plan->entries.size() == 1);
    CHECK(plan->entries[0].tokens.size() == size);
    CHECK(plan->entries[0].sample == sample);
    stage.complete();
  }
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).output == stage.sequential(stage.of(request_id{1}).request));
}

TEST_CASE("a chunk is no longer than the largest allowed") {
  auto options = small_options();
  options.max_chunk_tokens = 7;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(20, 1), 3));
  stage.enqueue(ask(2, prompt_of(20, 2), 3));
  CHECK(lengths(*stage.plan()) == std::vector<std::size_t>{7, 7});
}

TEST_CASE("a plan never feeds more than the token budget, decodes first") {
  auto options = small_options();
  options.max_batch_tokens = 8;
  rehearsal stage(options);
  for (std::uint64_t id = 1; id <= 4; ++id)
    stage.enqueue(ask(id, prompt_of(2, static_cast<std::uint32_t>(id)), 30));
  stage.step();
  stage.enqueue(ask(5, prompt_of(40, 5), 5));
  CHECK(lengths(*stage.plan()) == std::vector<std::size_t>{1, 1, 1, 1, 4});
}

TEST_CASE("more decodes than the budget take turns") {
  auto options = small_options();
  options.max_batch_tokens = 3;
  rehearsal stage(options);
  for (std::uint64_t id = 1; id <= 6; ++id)
    stage.enqueue(ask(id, {static_cast<token_id>(id)}, 30));
  while (stage.stats().waiting > 0)
    stage.step();
  std::vector<std::uint64_t> fed(7, 0);
  for (int i = 0; i < 20; ++i) {
    for (const auto& entry : stage.plan()->entries)
      ++fed[entry.sequence.value];
    stage.complete();
  }
  for (std::size_t i = 1; i <= 6; ++i)
    CHECK(fed[i] == 10);
}

TEST_CASE("a common prefix is computed once") {
  rehearsal stage(small_options());
  auto prompt = prompt_of(20, 1);
  stage.enqueue(ask(1, prompt, 1));
  stage.step();
  prompt.back() = 60;
  stage.enqueue(ask(2, prompt, 1));
  const auto* plan = stage.plan();
  REQUIRE(plan != nullptr);
  CHECK(plan->started[0].cached_tokens.size() == 16);
  CHECK(lengths(*plan) == std::vector<std::size_t>{4});
  CHECK(stage.stats().prefix_tokens_reused == 16);
  stage.run_until_idle();
  CHECK(stage.of(request_id{2}).output == stage.sequential(stage.of(request_id{2}).request));
}

TEST_CASE("the same prompt again computes at least its last token") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(16, 1), 1));
  stage.run_until_idle();
  stage.enqueue(ask(2, prompt_of(16, 1), 1));
  CHECK(lengths(*stage.plan()) == std::vector<std::size_t>{4});
  stage.run_until_idle();
  CHECK(stage.of(request_id{2}).output == stage.of(request_id{1}).output);
}

TEST_CASE("a second turn of a conversation finds the first one, answer included") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(10, 1), 11));
  stage.run_until_idle();
  auto history = prompt_of(10, 1);
  const auto& answer = stage.of(request_id{1}).output;
  history.insert(history.end(), answer.begin(), answer.end());
  history.push_back(5);
  stage.enqueue(ask(2, history, 1));
  CHECK(stage.plan()->started[0].cached_tokens.size() == 20);
}

TEST_CASE("nothing to do is no plan, and steps are numbered without a gap") {
  rehearsal stage(small_options());
  CHECK(stage.plan() == nullptr);
  stage.enqueue(ask(1, {1}, 1));
  CHECK(stage.plan()->step == 1);
  CHECK(stage.plan() == nullptr);
  stage.complete();
  CHECK(stage.plan() == nullptr);
  stage.enqueue(ask(2, {1}, 1));
  CHECK(stage.plan()->step == 2);
}
