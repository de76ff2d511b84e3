// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/request.hpp"
#include "runtime/scheduler/admission.hpp"
#include "runtime/scheduler/scheduler_options.hpp"
#include "runtime/scheduler/scheduler_state.hpp"
#include "runtime/scheduler/scheduler_stats.hpp"
#include "runtime/scheduler/step_outcome.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

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

  /// A new request is refused, too, when it would have to wait for longer than max_wait_ms before it is begun.
  admission enqueue(generation_request request, const entry_terms& terms = {});

  /// The request gets no further token, and its blocks are free once no step in flight uses them.
  abort_result abort(request_id request);

  /// The next step, numbered from 1; nothing when there is nothing to do or plans_in_flight results are outstanding.
  std::optional<step_plan> plan();

  /// Takes the result of the oldest plan in flight. Throws result_error when it is not that.
  /// `took_us`: since the result before it, or since the plan where there was none to wait for; 0: not known.
  step_outcome complete(const step_result& result, std::uint64_t took_us = 0);

  /// A question for the owner of a suspect, once; nothing more is planned until answer_trial().
  std::optional<trial_question> ask_trial();

  /// `go` false: nobody waits for the suspect any more; it is dropped.
  void answer_trial(const trial_question& question, bool go);

  scheduler_stats stats() const;

  /// Nothing waits, runs or is in flight.
  bool idle() const;

  /// Throws invariant_error where the books contradict each other. Debug builds do this after every step, release
  /// builds whenever there is nothing left to do.
  void check() const { check_invariants(state_); }

 private:
  abort_result take_out(request_id request);
  admission judge_load(const generation_request& request, const entry_terms& terms) const;
  void note_pace(const flight& done, std::uint64_t took_us);
  bool may_plan();
  void begin_trial(generation_request suspect);
  void note_trial();
  void check_when_idle();
  void take_token(sequence& from, const sampled_token& sampled, step_outcome& outcome);
  void settle(sequence& fed, step_outcome& outcome);

  scheduler_state state_;
  std::uint64_t steps_checked_ = 0;
};

}  // namespace troupe
