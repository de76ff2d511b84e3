// SPDX-License-Identifier: Apache-2.0
#include "actors/engine_rank.hpp"

#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/collective/communicator.hpp"

namespace troupe {

engine_rank::engine_rank(engine_rank_actor::impl* self, executor_factory make, load_progress progress)
    : self_(self), make_(std::move(make)), progress_(std::move(progress)) {}

engine_rank_actor::behavior_type engine_rank::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  // What the executor throws becomes the exit reason, in words.
  self_->set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const collective_error& error) {
      return make_failure(errc::rank_lost, error.what());  // a peer's end, not this engine's own
    } catch (const std::exception& error) {
      return make_failure(errc::engine_failed, error.what());
    }
  });
  return {
      [this](const group_view& view) { on_group(view); },
      [this](step_plan& plan) { on_plan(plan); },
      [this](caf::tick_atom) { on_tick(); },
  };
}

void engine_rank::on_group(const group_view& view) {
  auto scheduler = caf::actor_cast<scheduler_rank_actor>(self_->current_sender());
  executor_ = make_(view);
  auto report = executor_->load(progress_);
  self_->send(scheduler, engine_started{epoch{view.epoch}, report, view.cluster});
}

void engine_rank::on_plan(step_plan& plan) {
  if (!executor_) throw std::logic_error(fmt::format("step {} came before the engine had joined a group", plan.step));
  scheduler_ = caf::actor_cast<scheduler_rank_actor>(self_->current_sender());
  waiting_.push_back(std::move(plan));
  advance();
}

void engine_rank::on_tick() {
  ticking_ = false;
  advance();
}

/// Begins what may begin and tells what has ended. A step that has ended makes room for one that waits.
void engine_rank::advance() {
  bool moved = true;
  while (moved) {
    moved = false;
    if (!waiting_.empty() && begun_.size() < steps_begun_max) {
      executor_->begin(waiting_.front());
      begun_.push_back(waiting_.front().cluster);
      waiting_.pop_front();
      moved = true;
    }
    if (auto result = executor_->poll()) {
      result->cluster = begun_.front();
      begun_.pop_front();
      self_->send(scheduler_, std::move(*result));
      moved = true;
    }
  }
  if (begun_.empty() || ticking_) return;
  ticking_ = true;
  self_->send(self_, caf::tick_atom_v);
}

}  // namespace troupe
