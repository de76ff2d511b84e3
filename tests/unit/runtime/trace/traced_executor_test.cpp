// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/traced_executor.hpp"

#include <catch2/catch_test_macros.hpp>

#include "runtime/engine/scripted_executor.hpp"
#include "runtime/trace/flight_record.hpp"

using namespace troupe;

TEST_CASE("an engine's loading and steps are noted, the last one begun and not done when it fails") {
  auto recorder = std::make_shared<flight_recorder>(flight_recorder_options{});
  scripted_options script;
  script.fail_at_step = 2;
  traced_executor executor{std::make_unique<scripted_executor>(script), tracer{recorder}, 5, recorder->name("g0"), 1};
  executor.load({});
  step_plan plan{{5}, 1, {}, {}, {{{1}, 0, {4, 5}, false, true, {0}}}};
  plan.started.push_back({{1}, {}, 2, {}, {}});
  executor.run(plan);
  plan.step = 2;
  CHECK_THROWS(executor.run(plan));
  const auto events = parse_flight_record(recorder->bytes()).events;
  REQUIRE(events.size() == 4);
  CHECK(events[0].hop == trace_hop::rank_ready);
  CHECK(events[1].hop == trace_hop::step_begun);
  CHECK(events[1].count == 2);
  CHECK(events[2].hop == trace_hop::step_done);
  CHECK(events[2].step == 1);
  CHECK(events[3].hop == trace_hop::step_begun);
  CHECK(events[3].step == 2);
  for (const auto& event : events) {
    CHECK(event.epoch == 5);
    CHECK(event.rank == 1);
    CHECK(event.group == 0);
  }
}
