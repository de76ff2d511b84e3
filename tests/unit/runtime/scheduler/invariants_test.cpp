// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/cache/invariant_error.hpp"
#include "runtime/scheduler/plan_draft.hpp"
#include "runtime/scheduler/scheduler_state.hpp"
#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// One sequence whose prompt is in flight.
struct fixture {
  scheduler_state state{small_options()};
  sequence* running = nullptr;

  fixture() {
    auto added = std::make_unique<sequence>();
    added->id = sequence_id{1};
    added->request = ask(1, prompt_of(6, 1), 10);
    added->limit = 16;
    state.kv.grow(added->table, 6);
    running = &state.running.add(std::move(added));
    plan_draft draft(epoch{1}, 1, 64);
    draft.feed(*running, 6);
    state.totals.steps = 1;
    state.in_flight.push_back(draft.flight());
  }

  void expect(const char* finding) {
    CHECK_THROWS_MATCHES(check_invariants(state), invariant_error,
                         Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring(finding)));
  }
};

}  // namespace

TEST_CASE("the checker accepts a scheduler whose books are right") {
  fixture f;
  check_invariants(f.state);
}

TEST_CASE("the checker finds a lost plan in flight") {
  fixture f;
  f.state.in_flight.clear();
  f.expect("counts 1 steps in flight of 0");
}

TEST_CASE("the checker finds positions that do not follow each other") {
  fixture f;
  f.state.in_flight.front().shares[0].position = 2;
  f.expect("is fed at 2 in step 1, after 0");
}

TEST_CASE("the checker finds tokens counted as sampled that are not") {
  fixture f;
  f.running->unseen = 2;
  f.expect("unseen tokens");
}

TEST_CASE("the checker finds a sequence that left and was not removed") {
  fixture f;
  f.running->phase = sequence_phase::gone;
  f.expect("gone");
}

TEST_CASE("the checker finds a sequence past its limit") {
  fixture f;
  f.running->limit = 6;
  f.expect("has 7 tokens of 6");
}

TEST_CASE("the checker finds blocks that do not cover what was fed") {
  fixture f;
  f.running->table.blocks.pop_back();
  f.expect("blocks for");
}

TEST_CASE("the checker finds a request that runs and waits") {
  fixture f;
  f.state.waiting.insert({}, f.running->request);
  f.expect("runs and waits");
}

TEST_CASE("the checker finds a sequence told to have ended that runs") {
  fixture f;
  f.state.ended = {sequence_id{1}};
  f.expect("is there twice or has ended");
}
