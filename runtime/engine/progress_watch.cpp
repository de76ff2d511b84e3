// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/progress_watch.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe {
namespace {

constexpr int interval_factor = 10;

std::int64_t milliseconds(std::chrono::steady_clock::duration x) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(x).count();
}

}  // namespace

progress_watch::progress_watch(std::shared_ptr<const progress_counter> counter, progress_watch_options options)
    : counter_(std::move(counter)), options_(options) {}

void progress_watch::restart(time_point now) {
  seen_ = counter_->value();
  silent_ = {};
  looked_ = now;
}

void progress_watch::begin_load(time_point now) {
  loading_ = true;
  restart(now);
}

void progress_watch::end_load(time_point now) {
  loading_ = false;
  restart(now);
}

void progress_watch::begin_step(std::uint64_t step, time_point now) {
  last_step_ = step;
  if (steps_++ == 0) restart(now);
}

void progress_watch::end_step(time_point now) {
  warm_ = true;
  if (steps_ > 0) --steps_;
  longest_ = std::max(longest_, silent_);
  restart(now);
}

progress_watch::duration progress_watch::patience() const {
  if (loading_) return options_.load_timeout;
  auto usual = std::max<duration>(options_.hang_timeout, longest_ * interval_factor);
  if (!warm_) usual = std::max<duration>(usual, options_.first_step_timeout);
  return counter_->waits() ? std::max<duration>(usual, options_.wait_timeout) : usual;
}

std::string progress_watch::look(time_point now) {
  if (!pending()) return {};
  // A look that came late proves no more than one that came in time.
  silent_ += std::min<duration>(now - looked_, 2 * look_interval);
  looked_ = now;
  if (counter_->value() != seen_) {
    if (!loading_) longest_ = std::max(longest_, silent_);
    return restart(now), std::string{};
  }
  if (silent_ < patience()) return {};
  if (loading_) return fmt::format("it made no progress for {} ms while it joined and loaded", milliseconds(silent_));
  return fmt::format("step {} made no progress for {} ms{}", last_step_ - steps_ + 1, milliseconds(silent_),
                     counter_->waits() ? ", waiting for other ranks" : "");
}

}  // namespace troupe
