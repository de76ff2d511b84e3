// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

scheduler_options two_ahead() {
  auto options = small_options();
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  return options;
}

generation_request suspect(std::uint64_t id, std::uint32_t tokens) {
  auto request = ask(id, prompt_of(9, static_cast<std::uint32_t>(id)), tokens);
  request.trial_until = 9 + 4;
  return request;
}

}  // namespace

TEST_CASE("a suspect is asked for when nothing is in flight, and runs alone until it is past the place") {
  rehearsal stage(two_ahead());
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.step();
  stage.enqueue(suspect(2, 20));
  CHECK(!stage.subject().ask_trial());  // steps are in flight
  CHECK(stage.plan() == nullptr);
  while (stage.complete()) {
  }
  auto begins = stage.subject().ask_trial();
  REQUIRE(begins);
  CHECK(begins->request == request_id{2});
  CHECK(begins->begins);
  CHECK(stage.plan() == nullptr);  // not before the answer
  stage.subject().answer_trial(*begins, true);
  const auto before = stage.of(request_id{1}).output.size();
  std::optional<trial_question> over;
  while (!over) {
    stage.step();
    over = stage.subject().ask_trial();
  }
  CHECK(!over->begins);
  CHECK(stage.of(request_id{2}).output.size() >= 4);
  CHECK(stage.of(request_id{1}).output.size() == before);
  CHECK(stage.plan() == nullptr);
  stage.subject().answer_trial(*over, true);
  stage.run_until_idle();
  for (std::uint64_t id : {1U, 2U})
    CHECK(stage.of(request_id{id}).output == stage.sequential(stage.of(request_id{id}).request));
}

TEST_CASE("suspects are tried one after the other, and one that nobody waits for is dropped") {
  rehearsal stage(two_ahead());
  for (std::uint64_t id : {1U, 2U, 3U})
    stage.enqueue(suspect(id, 20));
  for (std::uint64_t id : {1U, 2U, 3U}) {
    auto begins = stage.subject().ask_trial();
    REQUIRE(begins);
    CHECK(begins->request == request_id{id});
    stage.subject().answer_trial(*begins, id != 2);
    if (id == 2) continue;
    std::optional<trial_question> over;
    while (!over) {
      stage.step();
      over = stage.subject().ask_trial();
    }
    stage.subject().answer_trial(*over, true);
  }
  stage.run_until_idle();
  CHECK(stage.of(request_id{1}).endings == 1);
  CHECK(stage.of(request_id{2}).output.empty());
  CHECK(stage.of(request_id{3}).endings == 1);
}

TEST_CASE("a suspect that ends in its trial, or is cancelled at any time of it, lets the others go on") {
  for (int when : {0, 1, 2, 3}) {
    rehearsal stage(two_ahead());
    stage.enqueue(ask(1, prompt_of(9, 1), 12));
    stage.enqueue(suspect(2, 2));  // ends before it is past the place
    if (when == 0) stage.abort(request_id{2});
    for (int i = 0; i < 200 && !stage.subject().idle(); ++i) {
      auto question = stage.subject().ask_trial();
      if (question) {
        if (when == 1 && question->begins) stage.abort(request_id{2});
        stage.subject().answer_trial(*question, true);
        if (when == 2 && question->begins) stage.abort(request_id{2});
        continue;
      }
      stage.step();
    }
    INFO("cancelled at " << when);
    CHECK(stage.subject().idle());
    CHECK(stage.of(request_id{1}).output == stage.sequential(stage.of(request_id{1}).request));
  }
}
