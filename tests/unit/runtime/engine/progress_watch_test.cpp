// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/progress_watch.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/engine/straggler_watch.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A watch, its counter and a clock that only moves when told.
struct watched_engine {
  std::shared_ptr<progress_counter> counter = std::make_shared<progress_counter>();
  progress_watch watch{counter, {}};
  progress_watch::time_point now{};

  /// Looks as often as a watcher does, for that long; returns the first thing it says.
  std::string look_for(std::chrono::milliseconds time) {
    for (auto end = now + time; now < end;) {
      now += progress_watch::look_interval;
      if (auto said = watch.look(now); !said.empty()) return said;
    }
    return {};
  }
  /// One quick step, so that the engine is warm.
  void warm_up() {
    watch.begin_step(1, now);
    counter->advance();
    watch.end_step(now);
  }
};

}  // namespace

TEST_CASE("an engine that has a step and makes no progress for two seconds is hung, and the step is named") {
  watched_engine engine;
  engine.warm_up();
  engine.watch.begin_step(2, engine.now);
  engine.watch.begin_step(3, engine.now);
  CHECK(engine.look_for(1900ms).empty());
  CHECK_THAT(engine.look_for(200ms), ContainsSubstring("step 2"));
}

TEST_CASE("an idle engine is never hung") {
  watched_engine engine;
  engine.warm_up();
  CHECK(engine.look_for(1h).empty());
  engine.watch.begin_step(2, engine.now);
  CHECK(engine.look_for(1s).empty());
}

TEST_CASE("an engine whose counter moves is not hung however long its step takes") {
  watched_engine engine;
  engine.warm_up();
  engine.watch.begin_step(2, engine.now);
  for (int i = 0; i < 100; ++i) {
    CHECK(engine.look_for(1s).empty());
    engine.counter->advance();
  }
}

TEST_CASE("an engine that is slow by nature has ten times its longest interval") {
  watched_engine engine;
  engine.warm_up();
  engine.watch.begin_step(2, engine.now);
  CHECK(engine.look_for(1s).empty());
  engine.counter->advance();
  CHECK(engine.look_for(9500ms).empty());
  CHECK_FALSE(engine.look_for(2s).empty());
}

TEST_CASE("the first step and loading have more patience") {
  watched_engine engine;
  engine.watch.begin_load(engine.now);
  CHECK(engine.look_for(299s).empty());
  engine.counter->advance();
  CHECK(engine.look_for(299s).empty());
  engine.watch.end_load(engine.now);
  engine.watch.begin_step(1, engine.now);
  CHECK(engine.look_for(19s).empty());
  CHECK_FALSE(engine.look_for(2s).empty());
}

TEST_CASE("a rank that never comes out of joining is hung") {
  watched_engine engine;
  engine.watch.begin_load(engine.now);
  CHECK_THAT(engine.look_for(301s), ContainsSubstring("joined and loaded"));
}

TEST_CASE("a rank that waits for others is not the one that hangs") {
  watched_engine engine;
  engine.warm_up();
  engine.watch.begin_step(2, engine.now);
  engine.counter->begin_wait();
  CHECK(engine.look_for(20s).empty());
  engine.counter->end_wait(0);
  CHECK(engine.look_for(100ms).empty());
}

TEST_CASE("a pause of the whole process is no hang of its engine") {
  watched_engine engine;
  engine.warm_up();
  engine.watch.begin_step(2, engine.now);
  CHECK(engine.look_for(500ms).empty());
  engine.now += 60s;  // nobody looked: stopped, or no processor was free
  CHECK(engine.watch.look(engine.now).empty());
  CHECK(engine.look_for(1s).empty());
  CHECK_FALSE(engine.look_for(1s).empty());
}

TEST_CASE("a rank that has become slow is noticed once, with its figures") {
  straggler_watch watch;
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(watch.add(1000));
  for (int i = 0; i < 19; ++i)
    CHECK_FALSE(watch.add(3100));
  auto slow = watch.add(3100);
  REQUIRE(slow);
  CHECK(slow->median_us == 1000);
  CHECK(slow->latest_us == 3100);
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(watch.add(3100));
}

TEST_CASE("slow steps between usual ones are no straggler") {
  straggler_watch watch;
  for (int i = 0; i < 64; ++i)
    CHECK_FALSE(watch.add(1000));
  for (int i = 0; i < 1000; ++i)
    CHECK_FALSE(watch.add(i % 20 == 0 ? 1000 : 9000));
}
