// SPDX-License-Identifier: Apache-2.0
#include "actors/engine_rank.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <semaphore>

#include <catch2/catch_test_macros.hpp>

#include "actors/errors.hpp"
#include "actors/system_config.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// What the executor did and may do.
struct script {
  std::counting_semaphore<> begun{0};  ///< released by every step that begins
  std::counting_semaphore<> ends{0};   ///< taken by every step that ends
  std::atomic<std::size_t> most{0};    ///< steps under way at once
};

/// A device whose steps end when the test says so.
class stepwise_executor final : public executor {
 public:
  explicit stepwise_executor(std::shared_ptr<script> text) : script_(std::move(text)) {}

  load_report load(const load_progress&) override { return {0, 0, 8, 16}; }
  void begin(const step_plan& plan) override {
    if (plan.entries.size() > 1) throw std::runtime_error("this device can do one sequence");
    under_way_.push_back({plan.epoch, plan.step, {}, 0});
    script_->most = std::max(script_->most.load(), under_way_.size());
    script_->begun.release();
  }
  std::optional<step_result> poll() override {
    if (under_way_.empty() || !script_->ends.try_acquire()) return std::nullopt;
    auto result = under_way_.front();
    under_way_.pop_front();
    return result;
  }
  bool samples() const override { return true; }
  void abort() noexcept override {}

 private:
  std::shared_ptr<script> script_;
  std::deque<step_result> under_way_;
};

/// An engine that has joined, and a scheduler's place to speak to it from.
struct joined_engine {
  system_config config{{.network = false, .threads = 2}};
  caf::actor_system system{config};
  caf::scoped_actor scheduler{system};
  std::shared_ptr<script> device = std::make_shared<script>();
  engine_rank_actor engine = system.spawn<engine_rank_impl, caf::detached>(
      executor_factory{[text = device](const group_view&) { return std::make_unique<stepwise_executor>(text); }},
      load_progress{});

  joined_engine() {
    scheduler->send(engine, group_view{});
    scheduler->receive([](const engine_started& message) { CHECK(message.report.blocks == 8); });
  }

  void plan(std::uint64_t step) {
    step_plan message{{1}, step, {}, {}, {}};
    message.cluster = 100 + step;
    scheduler->send(engine, std::move(message));
  }
  bool begins_one() { return device->begun.try_acquire_for(20s); }
  std::uint64_t next_result() {
    device->ends.release();
    std::uint64_t step = 0;
    scheduler->receive(
        [&](const step_result& result) {
          step = result.step;
          CHECK(result.cluster == 100 + step);
        },
        caf::after(20s) >> [] {});
    return step;
  }
};

}  // namespace

TEST_CASE("an engine begins the next step while one is under way, and results come in order") {
  joined_engine x;
  for (std::uint64_t step = 1; step <= 3; ++step)
    x.plan(step);
  REQUIRE(x.begins_one());
  REQUIRE(x.begins_one());
  CHECK(x.next_result() == 1);
  REQUIRE(x.begins_one());  // the third, which waited for room
  x.plan(4);                // comes while the engine looks for results
  CHECK(x.next_result() == 2);
  REQUIRE(x.begins_one());
  CHECK(x.next_result() == 3);
  CHECK(x.next_result() == 4);
  CHECK(x.device->most == steps_begun_max);
  x.plan(5);  // after none was under way
  CHECK(x.next_result() == 5);
}

TEST_CASE("a step that cannot begin ends the engine, with a step under way") {
  joined_engine x;
  x.scheduler->monitor(x.engine);
  x.plan(1);
  REQUIRE(x.begins_one());
  x.scheduler->send(x.engine, step_plan{{1}, 2, {}, {}, {step_entry{}, step_entry{}}});
  bool ended = false;
  x.scheduler->receive(
      [&](const caf::down_msg& down) {
        ended = true;
        CHECK(down.reason == errc::engine_failed);
      },
      caf::after(20s) >> [] {});
  CHECK(ended);
}
