// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/scripted_executor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/collective/communicator.hpp"
#include "runtime/engine/checked_executor.hpp"
#include "runtime/engine/engine_error.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

step_plan first_step(std::uint64_t epoch_number = 1) {
  step_plan plan{{epoch_number}, 1, {}, {}, {{{1}, 0, {4, 5}, false, true, {0}}}};
  plan.started.push_back({{1}, {}, 2, {}, {}});
  return plan;
}

step_plan second_step(std::uint64_t epoch_number = 1) {
  return {{epoch_number}, 2, {}, {}, {{{1}, 2, {}, true, true, {}}}};
}

std::unique_ptr<executor> make(scripted_options options = {}) {
  return std::make_unique<scripted_executor>(std::move(options));
}

}  // namespace

TEST_CASE("scripted tokens are a function of what was fed, however it was fed") {
  const auto one = make();
  const auto a = one->run(first_step()).sampled.at(0);
  const auto b = one->run(second_step()).sampled.at(0);
  CHECK(a.token == scripted_executor::next_token({4, 5}, 1024));
  CHECK(b.token == scripted_executor::next_token({4, 5, a.token}, 1024));
  CHECK(a.position == 2);
  CHECK(b.position == 3);
  // Resumed elsewhere in one piece, in another epoch.
  step_plan resumed{{7}, 1, {}, {}, {{{9}, 0, {4, 5, a.token}, false, true, {3}}}};
  resumed.started.push_back({{9}, {}, 2, {}, {}});
  CHECK(make()->run(resumed).sampled.at(0).token == b.token);
}

TEST_CASE("cached tokens count as fed") {
  step_plan plan{{1}, 1, {}, {}, {{{1}, 16, {5}, false, true, {1}}}};
  plan.started.push_back({{1}, {}, 2, std::vector<token_id>(16, 3), {0}});
  auto tokens = std::vector<token_id>(16, 3);
  tokens.push_back(5);
  CHECK(make()->run(plan).sampled.at(0).token == scripted_executor::next_token(tokens, 1024));
}

TEST_CASE("salted tokens differ from epoch to epoch") {
  scripted_options options;
  options.salt_with_epoch = true;
  const auto a = make(options)->run(first_step(1)).sampled.at(0).token;
  const auto b = make(options)->run(first_step(2)).sampled.at(0).token;
  CHECK(a == scripted_executor::next_token({4, 5}, 1024, 1));
  CHECK(a != b);
}

TEST_CASE("a rank that does not sample gives no tokens but knows them") {
  scripted_options options;
  options.samples = false;
  const auto one = make(options);
  CHECK(!one->samples());
  CHECK(one->run(first_step()).sampled.empty());
  CHECK_NOTHROW(one->run(second_step()));
}

TEST_CASE("the script's faults come at their step") {
  scripted_options options;
  options.fail_at_step = 2;
  const auto failing = make(options);
  failing->run(first_step());
  CHECK_THROWS_AS(failing->run(second_step()), collective_error);

  options = {};
  options.wrong_at_step = 1;
  CHECK(make(options)->run(first_step()).sampled.at(0).token ==
        (scripted_executor::next_token({4, 5}, 1024) + 1) % 1024);

  options = {};
  int seen = 0;
  options.before_step = [&](const step_plan& plan) { seen += static_cast<int>(plan.step); };
  const auto watched = make(options);
  watched->run(first_step());
  CHECK(seen == 1);
  watched->abort();
  CHECK_THROWS_AS(watched->run(second_step()), collective_error);
}

TEST_CASE("a plan that contradicts what came before is an error here too") {
  const auto one = make();
  CHECK_THROWS_AS(one->run(second_step()), engine_error);
}

TEST_CASE("two executors that agree pass as one") {
  checked_executor both(make(), make());
  CHECK(both.load({}).blocks == 1024);
  CHECK(both.samples());
  CHECK(both.run(first_step()).sampled.at(0).token == scripted_executor::next_token({4, 5}, 1024));
  CHECK_NOTHROW(both.run(second_step()));
}

TEST_CASE("two executors that disagree are an error that names the place and both tokens") {
  scripted_options wrong;
  wrong.wrong_at_step = 2;
  checked_executor both(make(), make(wrong));
  both.run(first_step());
  CHECK_THROWS_MATCHES(both.run(second_step()), engine_error,
                       MessageMatches(ContainsSubstring("step 2: sequence 1") && ContainsSubstring("at position 3")));
}

TEST_CASE("executors with other block sizes cannot be compared") {
  scripted_options options;
  options.block_tokens = 32;
  checked_executor both(make(), make(options));
  CHECK_THROWS_AS(both.load({}), engine_error);
}
