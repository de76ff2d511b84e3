// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a cancelled request gives back its blocks only after the step that uses them") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.step();
  stage.plan();
  CHECK(stage.abort(request_id{1}) == abort_result::ending);
  CHECK(stage.stats().blocks_used == 3);
  stage.complete();
  CHECK(stage.stats().blocks_used == 0);
  CHECK(stage.of(request_id{1}).finish == finish_reason::abort);
  CHECK(stage.of(request_id{1}).output.size() == 1);
  CHECK(stage.subject().idle());
}

TEST_CASE("with two steps in flight a cancelled request holds its blocks until the second is done") {
  auto options = small_options();
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  rehearsal stage(options);
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.plan();
  stage.plan();
  CHECK(stage.abort(request_id{1}) == abort_result::ending);
  stage.complete();
  CHECK(stage.stats().blocks_used == 3);
  CHECK(stage.of(request_id{1}).endings == 0);
  stage.complete();
  CHECK(stage.stats().blocks_used == 0);
  CHECK(stage.of(request_id{1}).endings == 1);
  CHECK(stage.of(request_id{1}).output.empty());
}

TEST_CASE("blocks of a request cancelled in flight are not given to another before") {
  auto options = small_options();
  options.blocks = 4;
  options.plans_in_flight = 2;
  rehearsal stage(options);  // its rank refuses a block that a step in flight uses
  stage.enqueue(ask(1, prompt_of(12, 1), 4));
  stage.plan();
  stage.abort(request_id{1});
  stage.enqueue(ask(2, prompt_of(12, 2), 4));
  CHECK(stage.plan() == nullptr);
  stage.complete();
  CHECK(stage.plan() != nullptr);
  stage.run_until_idle();
  CHECK(stage.of(request_id{2}).output == stage.sequential(stage.of(request_id{2}).request));
}

TEST_CASE("a request cancelled between two steps is over at once") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.step();
  CHECK(stage.abort(request_id{1}) == abort_result::ended);
  CHECK(stage.stats().blocks_used == 0);
  CHECK(stage.subject().idle());
}

TEST_CASE("a waiting request can be cancelled") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  CHECK(stage.abort(request_id{1}) == abort_result::ended);
  CHECK(stage.subject().idle());
}

TEST_CASE("what was written before the cancel can be reused") {
  rehearsal stage(small_options());
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.step();
  stage.abort(request_id{1});
  stage.enqueue(ask(2, prompt_of(9, 1), 20));
  CHECK(stage.plan()->started[0].cached_tokens.size() == 8);
}

TEST_CASE("cancelling twice, too late or what never was is harmless") {
  rehearsal stage(small_options());
  CHECK(stage.abort(request_id{7}) == abort_result::unknown);
  stage.enqueue(ask(1, prompt_of(9, 1), 20));
  stage.plan();
  CHECK(stage.abort(request_id{1}) == abort_result::ending);
  CHECK(stage.abort(request_id{1}) == abort_result::ending);
  stage.complete();
  CHECK(stage.abort(request_id{1}) == abort_result::unknown);
  CHECK(stage.of(request_id{1}).endings == 1);
  CHECK(stage.stats().requests_aborted == 1);
}
