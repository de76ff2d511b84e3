// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/model_executor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/engine/engine_error.hpp"
#include "runtime/model/errors.hpp"
#include "runtime/model/memory_plan.hpp"
#include "tests/unit/runtime/engine/executor_group.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

engine_options small_options() {
  engine_options options;
  options.block_tokens = 16;
  options.kv_blocks = 16;
  options.batch_tokens_max = 64;
  return options;
}

model tiny() { return open_model(model_folder("qwen3-tiny")); }

std::vector<token_id> generate(executor_group& group, std::size_t count) {
  plan_maker plans(16);
  std::vector<token_id> tokens;
  auto* plan = &plans.begin();
  plans.start(1, 3, greedy());
  plans.feed(1, {5, 6, 7}, true);
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(group.run(*plan).sampled.at(0).token);
    plan = &plans.begin();
    plans.feed_sampled(1);
  }
  return tokens;
}

/// A first step that feeds one sequence and samples.
step_plan feeding() {
  plan_maker plans(16);
  auto& plan = plans.begin();
  plans.start(1, 3, greedy(3));
  plans.feed(1, {5, 6, 7}, true);
  return plan;
}

}  // namespace

TEST_CASE("the load report says what the rank holds") {
  auto options = small_options();
  model_executor engine(tiny(), {}, {}, options);
  const auto report = engine.load({});
  CHECK(report.weight_bytes == plan_memory(tiny().config, {}, 16, 64).weight_bytes);
  CHECK(report.blocks == 16);
  CHECK(report.block_tokens == 16);
  CHECK(report.kv_bytes == 6ULL * 2 * 16 * 16 * 2 * 64 * 4);
  options.kv_blocks = 0;
  options.kv_bytes = report.kv_bytes * 2 + 1;
  CHECK(model_executor(tiny(), {}, {}, options).load({}).blocks == 32);
}

TEST_CASE("an option out of range is named with what would be right") {
  const auto refused = [](auto change, const std::string& reason) {
    auto options = small_options();
    change(options);
    CHECK_THROWS_MATCHES(model_executor(tiny(), {}, {}, options), config_error,
                         MessageMatches(ContainsSubstring(reason)));
  };
  refused([](auto& x) { x.block_tokens = 8; }, "multiple of 16");
  refused([](auto& x) { x.threads = 0; }, "threads is 0");
  refused([](auto& x) { x.batch_tokens_max = 0; }, "batch_tokens_max is 0");
  refused([](auto& x) { x.kv_blocks = 1U << 31; }, "at most");
  refused([](auto& x) { x.kv_blocks = 0, x.kv_bytes = 1000; }, "one block of 16 tokens takes");
  auto options = small_options();
  options.isa = "mmx";
  CHECK_THROWS_AS(model_executor(tiny(), {}, {}, options), std::invalid_argument);
  CHECK_THROWS_AS(model_executor(tiny(), {0, 3, 0, 1}, {}, small_options()), config_error);
}

TEST_CASE("a plan that contradicts what came before ends the executor with the contradiction") {
  executor_group group(tiny(), 1, 1, small_options());
  generate(group, 2);
  plan_maker plans(16);
  CHECK_THROWS_MATCHES(group.run(plans.begin()), engine_error,
                       MessageMatches(ContainsSubstring("step 1 came after step 2")));
}

TEST_CASE("an empty step is a step") {
  executor_group group(tiny(), 2, 1, small_options());
  plan_maker plans(16);
  CHECK(group.run(plans.begin()).sampled.empty());
  CHECK(group.run(plans.begin()).step == 2);
}

TEST_CASE("the one rank that samples is tensor rank 0 of the last stage") {
  executor_group group(tiny(), 2, 2, small_options());
  for (std::size_t rank = 0; rank < 4; ++rank)
    CHECK(group.rank(rank).samples() == (rank == 2));
}

TEST_CASE("feed_sampled in a pipeline is refused by name on every rank") {
  executor_group group(tiny(), 1, 2, small_options());
  CHECK_THROWS_MATCHES(generate(group, 2), engine_error, MessageMatches(ContainsSubstring("one pipeline stage")));
}

TEST_CASE("more sequences than logits are made for at a time are sampled all") {
  auto options = small_options();
  options.kv_blocks = 80;
  options.batch_tokens_max = 80;
  executor_group group(tiny(), 2, 1, options);
  const auto one = generate(group, 1).at(0);
  executor_group fresh(tiny(), 2, 1, options);
  plan_maker plans(16);
  auto& plan = plans.begin();
  for (std::uint64_t id = 0; id < 26; ++id) {
    plans.start(id, 3, greedy());
    plans.feed(id, {5, 6, 7}, true);
  }
  const auto result = fresh.run(plan);
  REQUIRE(result.sampled.size() == 26);
  auto& next = plans.begin();
  for (std::uint64_t id = 0; id < 26; ++id)
    plans.feed_sampled(id);
  for (std::uint64_t id = 26; id < 40; ++id) {
    plans.start(id, 3, greedy());
    plans.feed(id, {5, 6, 7}, true);
  }
  const auto second = fresh.run(next);
  REQUIRE(second.sampled.size() == 40);
  for (std::uint64_t id = 0; id < 40; ++id)
    CHECK(second.sampled[id].sequence == sequence_id{id});
  for (std::uint64_t id = 26; id < 40; ++id)
    CHECK(second.sampled[id].token == one);
}

TEST_CASE("an aborted executor throws, in a run that waits for a peer too") {
  executor_group group(tiny(), 2, 1, small_options());
  bool thrown = false;
  std::thread waiting([&] {
    try {
      group.rank(0).run(feeding());  // its peer never runs
    } catch (const collective_error&) {
      thrown = true;
    }
  });
  group.rank(0).abort();
  waiting.join();
  CHECK(thrown);
  CHECK_THROWS_AS(group.rank(0).run(feeding()), collective_error);
}

TEST_CASE("weights once loaded serve the next executor of the rank") {
  auto source = tiny();
  model_executor first(source, {}, {}, small_options());
  first.load({});
  auto second = std::make_unique<model_executor>(source, shard{}, group_communicators{}, small_options());
  second->reuse_weights(first.weights());
  bool loaded = false;
  second->load([&](auto, auto) { loaded = true; });
  CHECK(!loaded);
  const auto a = first.run(feeding()).sampled.at(0);
  const auto b = second->run(feeding()).sampled.at(0);
  CHECK(a.token == b.token);
  CHECK(a.top == b.top);
}

TEST_CASE("prefix reuse gives the tokens of a sequence computed whole") {
  executor_group group(tiny(), 1, 1, small_options());
  std::vector<token_id> prompt;
  for (int i = 0; i < 40; ++i)
    prompt.push_back(i * 13 % 1024);
  step_plan first{{1}, 1, {}, {}, {{{1}, 0, prompt, false, true, {3, 1, 2}}}};
  first.started.push_back({{1}, greedy(5), 40, {}, {}});
  const auto whole = group.run(first).sampled.at(0);
  step_plan second{{1}, 2, {{1}}, {}, {{{2}, 32, {prompt.begin() + 32, prompt.end()}, false, true, {7}}}};
  second.started.push_back({{2}, greedy(5), 40, {prompt.begin(), prompt.begin() + 32}, {3, 1}});
  const auto reused = group.run(second).sampled.at(0);
  CHECK(reused.token == whole.token);
  CHECK(reused.logprob == whole.logprob);
  CHECK(reused.top == whole.top);
}
