// SPDX-License-Identifier: Apache-2.0
#include "topology/restart_policy.hpp"

#include <catch2/catch_test_macros.hpp>

#include "topology/lease.hpp"

using namespace troupe;
using namespace std::chrono_literals;

TEST_CASE("short lives are followed by pauses of 0, 1 and 5 seconds, and then the place is down for ten minutes") {
  restart_policy policy;
  restart_policy::time_point now{};
  for (auto pause : {0s, 1s, 5s}) {
    policy.note_end(now, 0s);
    CHECK(policy.next_start() == now + pause);
    CHECK(!policy.down());
    CHECK(policy.may_start(now) == (pause == 0s));
    now += pause;
    CHECK(policy.may_start(now));
  }
  policy.note_end(now, 0s);
  CHECK(policy.down());
  CHECK(!policy.may_start(now + 9min));
  CHECK(policy.may_start(now + 10min));
  CHECK(!policy.down());
}

TEST_CASE("a rank that had served for a while is started again at once") {
  restart_policy policy;
  restart_policy::time_point now{};
  for (int life = 0; life < 20; ++life) {
    now += 30s;
    policy.note_end(now, 30s);
    CHECK(policy.may_start(now));
  }
}

TEST_CASE("a rank that lost a peer is started again without a pause, but not for ever") {
  restart_policy policy{{.restarts = 0}};
  restart_policy::time_point now{};
  for (int life = 0; life < 10; ++life) {
    policy.note_end(now, 0s, restart_policy::fault::peer);
    CHECK(!policy.down());
    CHECK(policy.may_start(now));
  }
  policy.note_end(now, 0s, restart_policy::fault::peer);
  CHECK(policy.down());
}

TEST_CASE("an operator's word starts a place that is down") {
  restart_policy policy{{.restarts = 0}};
  policy.note_end({}, 5min);
  CHECK(policy.down());
  policy.forgive();
  CHECK(policy.may_start({}));
}

TEST_CASE("a lease counts from the moment it was asked for, whatever way its answer took") {
  lease mine;
  lease::time_point now{10s};
  auto first = mine.ask(now);
  auto second = mine.ask(now + 100ms);
  CHECK(!mine.held(now));
  mine.grant(second);
  CHECK(mine.until() == now + 1100ms);
  mine.grant(first);   // late
  mine.grant(second);  // again
  mine.grant(77);      // never asked
  CHECK(mine.until() == now + 1100ms);
  CHECK(mine.held(now + 1099ms));
  CHECK(!mine.held(now + 1100ms));
}
