// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>

#include "runtime/request.hpp"
#include "runtime/scheduler/admission.hpp"
#include "runtime/scheduler/scheduler_options.hpp"
#include "runtime/scheduler/scheduler_stats.hpp"
#include "runtime/scheduler/step_outcome.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// A result that belongs to no plan in flight, or not to the oldest one, or does not answer what the plan asked.
/// The scheduler is as it was before the call.
class result_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class abort_result : std::uint8_t {
  unknown,  ///< no such request, or it has ended already
  ended,    ///< it is over; no update follows
  ending,   ///< a step in flight uses its blocks; an update with finish_reason::abort follows from that step's
            ///< complete()
};

/// Decides what a group's ranks do in each step: which sequences run, which tokens they feed, which blocks they use.
/// A plain object of values: no clock, no thread. The same calls give the same plans.
///
/// The caller's loop: plan() until it gives nothing, hand each plan to every rank in order, complete() each result in
/// the order of the plans, plan() again.
class scheduler {
 public:
  /// Throws std::invalid_argument naming the option that is out of range.
  explicit scheduler(scheduler_options options);
  scheduler(scheduler&&) noexcept;
  scheduler& operator=(scheduler&&) noexcept;
  ~scheduler();

  admission enqueue(generation_request request);

  /// The request gets no further token, and its blocks are free once no step in flight uses them.
  abort_result abort(request_id request);

  /// The next step, numbered from 1; nothing when there is nothing to do or plans_in_flight results are outstanding.
  std::optional<step_plan> plan();

  /// Takes the result of the oldest plan in flight. Throws result_error when it is not that.
  step_outcome complete(const step_result& result);

  scheduler_stats stats() const;

  /// Nothing waits, runs or is in flight.
  bool idle() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe
