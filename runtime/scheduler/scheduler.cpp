// SPDX-License-Identifier: Apache-2.0
#include "runtime/scheduler/scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/cache/invariant_error.hpp"
#include "runtime/scheduler/decode_turn.hpp"
#include "runtime/scheduler/give_way.hpp"
#include "runtime/scheduler/load_before.hpp"
#include "runtime/scheduler/plan_draft.hpp"
#include "runtime/scheduler/prefill_turn.hpp"
#include "runtime/scheduler/stop_rule.hpp"

namespace troupe {

namespace {

scheduler_options checked(scheduler_options options) {
  if (auto error = find_error(options); !error.empty()) throw std::invalid_argument(error);
  return options;
}

double prompt_tokens_of(const flight& step) {
  double tokens = 0;
  for (const auto& share : step.shares)
    if (share.tokens > 1 || !share.sample) tokens += share.tokens;
  return tokens;
}

}  // namespace

scheduler::scheduler(scheduler_options options) : state_(checked(std::move(options))) {}

admission scheduler::enqueue(generation_request request, const entry_terms& terms) {
  auto answer = judge(request, state_.options);
  if (answer.accepted() && (state_.waiting.contains(request.id) || state_.running.find(request.id) != nullptr ||
                            state_.trial.contains(request.id)))
    answer = {refusal::duplicate, fmt::format("request {} is not finished yet", request.id.value)};
  const auto queued = state_.waiting.size() + state_.trial.suspects.size();
  if (answer.accepted() && queued >= state_.options.max_queue)
    answer = {refusal::queue_full,
              fmt::format("{} requests wait and at most {} may", queued, state_.options.max_queue)};
  if (answer.accepted()) answer = judge_load(request, terms);
  ++(answer.accepted() ? state_.totals.requests_accepted : state_.totals.requests_refused);
  if (answer.accepted() && request.trial_until != 0) {
    state_.trial.suspects.push_back(std::move(request));
  } else if (answer.accepted()) {
    const bool resumed = request.tokens.size() > request.prompt_tokens;
    state_.waiting.insert({request.priority, resumed, ++state_.arrivals}, std::move(request));
  }
  return answer;
}

/// Nobody watches a background request (of negative priority), and an accepted or a moved one has its promise.
admission scheduler::judge_load(const generation_request& request, const entry_terms& terms) const {
  const auto bound = state_.options.max_wait_ms;
  const bool resumed = request.tokens.size() > request.prompt_tokens;
  if (bound == 0 || terms.promised || resumed || request.priority < 0 || request.trial_until != 0) return {};
  auto pace = state_.pace.figures();
  const auto age = static_cast<double>(terms.step_age_us);
  if (pace.token_us <= 0) pace.token_us = pace.step_us = age;  // the first step is still under way
  auto load = load_before(state_, request);
  const auto due = state_.in_flight.empty() ? 0.0 : prompt_tokens_of(state_.in_flight.front()) * pace.prompt_us;
  load.overdue_us = std::max(0.0, age - pace.step_us - due);
  const auto scale = 1000.0 * bound;
  const auto wait = expect_wait(load, load_of(state_, request), pace, scale);
  if (wait.us <= scale) return {};
  load.prompt_tokens_ahead = 0;
  constexpr waiting_load smallest{.prompt_tokens = 1, .tokens = 1, .may_stop = false, .blocks = 1};
  return judge_wait(wait, expect_wait(load, smallest, pace, scale), bound, stats());
}

abort_result scheduler::abort(request_id request) {
  const auto result = take_out(request);
  note_trial();
  return result;
}

abort_result scheduler::take_out(request_id request) {
  if (const auto suspect = state_.trial.find(request); suspect != state_.trial.suspects.end()) {
    state_.trial.suspects.erase(suspect);
    ++state_.totals.requests_aborted;
    return abort_result::ended;
  }
  auto* running = state_.running.find(request);
  if (running != nullptr) state_.pace.note_token(true);
  if (running == nullptr) {
    if (!state_.waiting.erase(request)) return abort_result::unknown;
  } else if (running->steps_in_flight > 0) {
    running->phase = sequence_phase::ending;
    running->aborted = true;
    return abort_result::ending;
  } else {
    release(state_, *running);
    state_.running.sweep();
  }
  ++state_.totals.requests_aborted;
  return abort_result::ended;
}

std::optional<step_plan> scheduler::plan() {
  if (state_.in_flight.size() >= state_.options.plans_in_flight) return std::nullopt;
  if (!may_plan()) return std::nullopt;
  plan_draft draft(state_.options.epoch, state_.totals.steps + 1, state_.options.max_batch_tokens);
  std::uint64_t preemptions = 0;
  do {  // again when all that were chosen gave way: others may be fed now
    preemptions = state_.totals.preemptions;
    decode_turn(state_, draft);
    state_.running.sweep();
  } while (draft.empty() && state_.totals.preemptions > preemptions);
  prefill_turn(state_, draft);
  if (draft.empty()) {
    check_when_idle();
    return std::nullopt;
  }
  ++state_.totals.steps;
  state_.totals.tokens_planned += state_.options.max_batch_tokens - draft.tokens_left();
  state_.in_flight.push_back(std::move(draft.flight()));
  draft.plan().ended = std::exchange(state_.ended, {});
  assert((check_invariants(state_), true));
  return std::move(draft.plan());
}

void scheduler::check_when_idle() {
  if (!state_.in_flight.empty() || state_.trial.phase != trial_phase::none) return;
  if (!idle())
    throw invariant_error(fmt::format("scheduler: {} requests wait, {} sequences run, and there is nothing to do",
                                      state_.waiting.size(), state_.running.size()));
  if (std::exchange(steps_checked_, state_.totals.steps) != state_.totals.steps) check_invariants(state_);
}

step_outcome scheduler::complete(const step_result& result, std::uint64_t took_us) {
  if (state_.in_flight.empty())
    throw result_error(
        fmt::format("a result is of step {} in epoch {}, and no step is in flight", result.step, result.epoch.value));
  check_result(state_.in_flight.front(), result);
  const auto flight = std::move(state_.in_flight.front());
  state_.in_flight.pop_front();
  note_pace(flight, took_us);

  step_outcome outcome;
  auto sampled = result.sampled.begin();
  for (const auto& share : flight.shares) {
    auto& fed = *share.fed;
    fed.written = share.end();
    --fed.steps_in_flight;
    if (share.sample) take_token(fed, *sampled++, outcome);
    settle(fed, outcome);
  }
  state_.running.sweep();
  note_trial();
  assert((check_invariants(state_), true));
  return outcome;
}

void scheduler::note_pace(const flight& done, std::uint64_t took_us) {
  if (took_us == 0) return;
  std::size_t fed = 0, decoding = 0;
  for (const auto& share : done.shares)
    fed += share.sample ? 1U : 0U;
  for (const auto& each : state_.running.by_turn())
    decoding += each->phase == sequence_phase::running && !each->prefilling() ? 1U : 0U;
  // Micro-batches take turns: a sequence is in one of several plans.
  const auto turns = state_.options.feed_sampled ? 1 : state_.options.plans_in_flight;
  const auto rounds = fed == 0 ? 1.0 : static_cast<double>(decoding) / static_cast<double>(fed);
  state_.pace.note_step(static_cast<double>(took_us), prompt_tokens_of(done),
                        std::clamp(rounds, 1.0, static_cast<double>(turns)));
}

/// Before a suspect's turn everything in flight comes to rest; in its turn nothing else runs.
bool scheduler::may_plan() {
  auto& trial = state_.trial;
  if (trial.phase == trial_phase::none && !trial.suspects.empty()) trial.phase = trial_phase::emptying;
  // The last suspect was given up before its turn: nobody would ask any more, and everything waits.
  if (trial.phase == trial_phase::emptying && trial.suspects.empty()) trial.phase = trial_phase::none;
  return trial.phase == trial_phase::none || trial.phase == trial_phase::running;
}

std::optional<trial_question> scheduler::ask_trial() {
  auto& trial = state_.trial;
  if (trial.phase == trial_phase::none && !trial.suspects.empty()) trial.phase = trial_phase::emptying;
  if (!state_.in_flight.empty()) return std::nullopt;
  if (trial.phase == trial_phase::emptying && trial.suspects.empty()) trial.phase = trial_phase::none;
  if (trial.phase == trial_phase::emptying) {
    trial.phase = trial_phase::asked;
    trial.request = trial.suspects.front().id;
    return trial_question{trial.request, true};
  }
  if (trial.phase != trial_phase::passed) return std::nullopt;
  trial.phase = trial_phase::told;
  return trial_question{trial.request, false};
}

void scheduler::answer_trial(const trial_question& question, bool go) {
  auto& trial = state_.trial;
  if (trial.request != question.request || trial.phase != (question.begins ? trial_phase::asked : trial_phase::told))
    return;
  trial.phase = trial_phase::none;
  const auto found = trial.find(question.request);
  if (!question.begins || found == trial.suspects.end()) return;
  auto suspect = std::move(*found);
  trial.suspects.erase(found);
  if (go)
    begin_trial(std::move(suspect));
  else
    ++state_.totals.requests_aborted;
}

/// The others give their blocks back, so that the suspect has the memory to itself; most find them again in the cache.
void scheduler::begin_trial(generation_request suspect) {
  while (auto* other = state_.running.last_running())
    preempt(state_, *other);
  state_.running.sweep();
  state_.trial.phase = trial_phase::running;
  state_.waiting.insert({std::numeric_limits<std::int32_t>::max(), true, ++state_.arrivals}, std::move(suspect));
}

/// The suspect has ended, or has come past the place of the crash: from then on it is a request like any other.
void scheduler::note_trial() {
  auto& trial = state_.trial;
  if (trial.phase != trial_phase::running || state_.waiting.contains(trial.request)) return;
  auto* suspect = state_.running.find(trial.request);
  if (suspect == nullptr) {
    if (state_.in_flight.empty()) trial.phase = trial_phase::passed;
    return;
  }
  if (suspect->known() < suspect->request.trial_until) return;
  suspect->request.trial_until = 0;
  suspect->turn = {suspect->request.priority, false, suspect->turn.arrival};
  trial.phase = trial_phase::passed;
}

void scheduler::take_token(sequence& from, const sampled_token& sampled, step_outcome& outcome) {
  --from.unseen;
  if (from.phase == sequence_phase::ending) return;
  from.request.tokens.push_back(sampled.token);
  auto finish = finish_reason::none;
  if (is_stop(sampled.token, from.request.stops, state_.options.eos_ids)) {
    finish = finish_reason::stop;
  } else if (from.known() >= from.limit) {
    finish = finish_reason::length;
  }
  if (may_stop(from.request.stops, state_.options.eos_ids)) state_.pace.note_token(finish == finish_reason::stop);
  outcome.updates.push_back(
      {from.request.id, {{sampled.position, sampled.token, sampled.logprob, sampled.top}}, finish, from.reused});
  if (finish == finish_reason::none) return;
  from.phase = sequence_phase::ending;
  state_.running.forget(from);
  ++state_.totals.requests_finished;
}

void scheduler::settle(sequence& fed, step_outcome& outcome) {
  const auto written = std::min(fed.written, fed.known());  // an ending sequence has dropped tokens that were written
  state_.kv.commit(fed.table, std::span{fed.request.tokens}.first(written));
  if (fed.steps_in_flight > 0 || fed.phase == sequence_phase::running) return;
  if (fed.aborted) {
    outcome.updates.push_back({fed.request.id, {}, finish_reason::abort});
    ++state_.totals.requests_aborted;
  }
  leave(state_, fed);
}

scheduler_stats scheduler::stats() const {
  auto stats = state_.totals;
  stats.waiting = state_.waiting.size() + state_.trial.suspects.size();
  stats.running = state_.running.size();
  stats.in_flight = state_.in_flight.size();
  stats.blocks_free = state_.kv.free();
  stats.blocks_cached = state_.kv.cached();
  stats.blocks_used = state_.kv.used();
  stats.blocks_evicted = state_.kv.evictions();
  return stats;
}

bool scheduler::idle() const {
  return state_.waiting.empty() && state_.running.empty() && state_.in_flight.empty() && state_.trial.suspects.empty();
}

}  // namespace troupe
