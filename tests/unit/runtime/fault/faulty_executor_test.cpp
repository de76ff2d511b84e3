// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/faulty_executor.hpp"

#include <future>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/engine/checked_executor.hpp"
#include "runtime/engine/engine_error.hpp"
#include "runtime/engine/scripted_executor.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

step_plan step(std::uint64_t number) {
  if (number > 1) return {{1}, number, {}, {}, {{{1}, static_cast<std::uint32_t>(number), {}, true, true, {}}}};
  step_plan plan{{1}, 1, {}, {}, {{{1}, 0, {4, 5}, false, true, {0}}}};
  plan.started.push_back({{1}, {}, 2, {}, {}});
  return plan;
}

std::unique_ptr<executor> scripted() { return std::make_unique<scripted_executor>(scripted_options{}); }

fault make(fault_kind kind, std::uint64_t at_step = 0, std::uint64_t after_tokens = 0) {
  fault x;
  x.kind = kind;
  x.target.group = std::string{"g0"};
  x.at_step = at_step;
  x.after_tokens = after_tokens;
  return x;
}

struct faulty {
  std::shared_ptr<fault_script> script = std::make_shared<fault_script>();
  faulty_executor executor{scripted(), script};
  token_id run(std::uint64_t number) { return executor.run(step(number)).sampled.at(0).token; }
};

}  // namespace

TEST_CASE("without faults the tokens are the inner executor's") {
  faulty x;
  const auto inner = scripted();
  for (std::uint64_t i = 1; i < 5; ++i)
    CHECK(x.run(i) == inner->run(step(i)).sampled.at(0).token);
}

TEST_CASE("a token crashes the engine whenever it is fed, and no other token does") {
  faulty x;
  auto poison = make(fault_kind::crash);
  poison.token = 5;
  x.script->add(poison);
  CHECK_THROWS_MATCHES(x.run(1), injected_fault, MessageMatches(ContainsSubstring("of token 5")));
  CHECK(x.script->waiting().size() == 1);
  CHECK_THROWS_AS(x.run(1), injected_fault);
  x.script->clear();
  poison.token = 6;
  x.script->add(poison);
  CHECK_NOTHROW(x.run(1));
}

TEST_CASE("a crash without a token comes once") {
  faulty x;
  x.script->add(make(fault_kind::crash, 2));
  x.run(1);
  CHECK_THROWS_AS(x.run(2), injected_fault);
  CHECK(x.script->waiting().empty());
}

TEST_CASE("a kill without a process is an exception in the step that was named") {
  faulty x;
  x.script->add(make(fault_kind::kill, 3));
  x.run(1);
  x.run(2);
  CHECK_THROWS_MATCHES(x.run(3), injected_fault, MessageMatches(ContainsSubstring("step 3")));
  CHECK(x.script->waiting().empty());
}

TEST_CASE("a kill after some tokens comes with the step after them, and is the process's where there is one") {
  auto script = std::make_shared<fault_script>();
  std::vector<fault_kind> done;
  faulty_executor executor{scripted(), script, [&](const fault& x) { done.push_back(x.kind); }};
  script->add(make(fault_kind::kill, 0, 2));
  executor.run(step(1));
  executor.run(step(2));
  CHECK(done.empty());
  CHECK_THROWS_AS(executor.run(step(3)), injected_fault);
  CHECK(done == std::vector{fault_kind::kill});
}

TEST_CASE("a wrong token is one token, and a checked executor notices it") {
  faulty x;
  x.script->add(make(fault_kind::wrong_token, 2));
  const auto inner = scripted();
  CHECK(x.run(1) == inner->run(step(1)).sampled.at(0).token);
  CHECK(x.run(2) != inner->run(step(2)).sampled.at(0).token);
  CHECK(x.run(3) == inner->run(step(3)).sampled.at(0).token);

  auto script = std::make_shared<fault_script>();
  script->add(make(fault_kind::wrong_token));
  checked_executor checked{scripted(), std::make_unique<faulty_executor>(scripted(), script)};
  CHECK_THROWS_AS(checked.run(step(1)), engine_error);
}

TEST_CASE("a hang ends when it is cleared, and when the executor is aborted") {
  faulty x;
  x.script->add(make(fault_kind::hang));
  auto hung = std::async(std::launch::async, [&] { return x.run(1); });
  while (!x.script->waiting().empty()) {  // taken: it hangs, or is about to
  }
  SECTION("cleared") {
    while (hung.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
      x.script->clear();
    CHECK(hung.get() == scripted()->run(step(1)).sampled.at(0).token);
  }
  SECTION("aborted") {
    x.executor.abort();
    CHECK_THROWS(hung.get());
  }
}

TEST_CASE("a hang for a time and a slow step come back with the right token") {
  faulty x;
  auto hang = make(fault_kind::hang);
  hang.for_ms = 1;
  auto slow = make(fault_kind::slow);
  slow.delay_ms = 1;
  x.script->add(hang);
  x.script->add(slow);
  CHECK(x.run(1) == scripted()->run(step(1)).sampled.at(0).token);
  CHECK(x.script->waiting().size() == 1);  // slow lasts until it is cleared
  x.script->clear();
  CHECK(x.script->waiting().empty());
}
