// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/faulty_executor.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace troupe {
namespace {

std::chrono::nanoseconds span_of(const fault& x) { return std::chrono::milliseconds(x.for_ms); }

}  // namespace

/// What happens instead of the step, or before it.
void faulty_executor::before_step(const fault& x, const step_plan& plan) {
  switch (x.kind) {
    case fault_kind::crash:
      if (process_) process_(x);
      throw injected_fault(fmt::format("step {}: a fault was injected: {}", plan.step, to_string(x)));
    case fault_kind::kill:
      if (process_ && x.target.role == fault_role::rank) process_(x);
      throw injected_fault(fmt::format("step {}: a fault was injected: {}", plan.step, to_string(x)));
    case fault_kind::freeze:
      return process_ ? process_(x) : script_->pause(span_of(x));
    case fault_kind::drop:
      if (process_) process_(x);
      return;
    case fault_kind::hang:
      return script_->pause(span_of(x));
    case fault_kind::slow:
    case fault_kind::wrong_token:
      return;
  }
}

void faulty_executor::after_step(const fault& x, step_result& result, clock::duration took) {
  if (x.kind == fault_kind::wrong_token && !result.sampled.empty()) {
    auto& token = result.sampled.front().token;
    token = token == 0 ? 1 : token - 1;
  }
  if (x.kind != fault_kind::slow) return;
  auto more = std::chrono::duration<double, std::nano>(took) * (x.factor - 1);
  auto pause = std::chrono::duration_cast<std::chrono::nanoseconds>(more) + std::chrono::milliseconds(x.delay_ms);
  if (pause.count() > 0) script_->pause(pause);
}

void faulty_executor::begin(const step_plan& plan) {
  if (const auto poison = script_->find_poison(plan)) before_step(*poison, plan);
  auto due = script_->take_due(plan.step, sampled_);
  for (const auto& x : due)
    before_step(x, plan);
  begun_.push_back({std::move(due), clock::now()});
  inner_->begin(plan);
  sampled_ += static_cast<std::uint64_t>(
      std::count_if(plan.entries.begin(), plan.entries.end(), [](const auto& entry) { return entry.sample; }));
}

std::optional<step_result> faulty_executor::poll() {
  auto result = inner_->poll();
  if (!result) return result;
  const auto step = std::move(begun_.front());
  begun_.pop_front();
  const auto took = clock::now() - std::max(step.begun, last_end_);
  for (const auto& x : step.due)
    after_step(x, *result, took);
  last_end_ = clock::now();
  return result;
}

void faulty_executor::abort() noexcept {
  inner_->abort();  // first: a step that hangs must not run when it is woken
  script_->wake();
}

}  // namespace troupe
