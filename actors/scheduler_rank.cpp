// SPDX-License-Identifier: Apache-2.0
#include "actors/scheduler_rank.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/trace_notes.hpp"
#include "topology/epoch_number.hpp"
#include "topology/lease.hpp"

namespace troupe {
namespace {

constexpr std::size_t early_max = 1024;

errc code_of(refusal reason) {
  switch (reason) {
    case refusal::queue_full:
      return errc::queue_full;
    case refusal::would_wait:
      return errc::overloaded;
    case refusal::context_too_long:
    case refusal::never_fits:
      return errc::context_length_exceeded;
    default:
      return errc::invalid_request;
  }
}

std::uint64_t microseconds(caf::actor_clock::duration_type elapsed) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
}

std::chrono::milliseconds milliseconds_up(std::uint64_t us) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds(us));
}

}  // namespace

scheduler_rank::scheduler_rank(scheduler_rank_actor::impl* self, node_actor node, scheduler_rank_options options,
                               std::function<engine_rank_actor()> spawn_engine)
    : self_(self),
      node_(std::move(node)),
      options_(std::move(options)),
      engine_(spawn_engine()),
      state_(options_.identity),
      fence_(options_.cluster),
      watch_(options_.progress ? options_.progress : std::make_shared<const progress_counter>(), options_.hang) {}

scheduler_rank_actor::behavior_type scheduler_rank::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    if (down.source == engine_.address())
      fail(down.reason == errc::rank_lost ? loss_cause::unreachable : loss_cause::crashed,
           fmt::format("the engine ended: {}", describe(down.reason)));
    else if (down.source == node_.address())
      self_->quit(down.reason);  // a rank never outlives its node
    else if (watched_routers_.erase(down.source) > 0)
      lose_router(down.source);
    else {
      for (const auto& [rank, peer] : peers_)
        if (peer.address() == down.source) note_peer_lost(options_.trace, state_, rank);
      fail(loss_cause::unreachable, "the connection to another rank of the group was lost");
    }
  });
  self_->monitor(engine_);
  self_->monitor(node_);
  publish();
  report();
  return {
      [this](enqueue& message) { return on_enqueue(message); },
      [this](const abort_request& message) { on_abort(message); },
      [this](step_plan& plan) { on_plan(plan); },
      [this](step_result& result) { on_result(result); },
      [this](const join_group& message) { on_join(message); },
      [this](const engine_started& message) { on_started(message); },
      [this](const hold_lease& message) { on_lease(message); },
      [this](get_status) { return on_status(); },
  };
}

/// The rank is present once others can reach it.
void scheduler_rank::publish() {
  if (options_.publish_at.empty()) {
    state_.phase = rank_phase::present;
    return;
  }
  auto me = caf::actor_cast<caf::strong_actor_ptr>(self_);
  auto interface = self_->system().message_types<scheduler_rank_actor>();
  self_
      ->request(options_.network, options_.connect_timeout, caf::publish_atom_v, std::uint16_t{0}, me, interface,
                options_.publish_at, false)
      .then(
          [this](std::uint16_t port) {
            state_.door = {options_.publish_at, port};
            state_.phase = rank_phase::present;
            tell_node();
          },
          [this](const caf::error& reason) {
            fail(loss_cause::crashed,
                 fmt::format("no port could be opened at {}: {}", options_.publish_at, to_string(reason)));
          });
}

/// A router may hear of an epoch before the rank that leads it does: then the answer waits until it does.
caf::result<void> scheduler_rank::on_enqueue(enqueue& message) {
  auto router = caf::actor_cast<router_actor>(self_->current_sender());
  auto judged = fence_.judge({message.cluster, message.epoch.value});
  const bool coming = judged == verdict::ahead || (judged == verdict::current && !scheduler_);
  if (judged == verdict::current && scheduler_) {
    if (auto refused = admit(message, router)) return refused;
    return caf::unit;
  }
  if (!coming || state_.phase == rank_phase::failed || early_.size() >= early_max)
    return make_failure(errc::stale_epoch,
                        fmt::format("group {} does not serve epoch {}", state_.group, epoch_text(message.epoch.value)));
  auto answer = self_->make_response_promise<void>();
  early_.push_back({std::move(message), std::move(router), answer});
  return answer;
}

caf::error scheduler_rank::admit(enqueue& message, const router_actor& router) {
  auto id = message.request.id;
  const auto age = in_flight_ == 0 ? 0 : microseconds(self_->clock().now() - step_begun_);
  auto verdict = scheduler_->enqueue(std::move(message.request), {message.promised, age});
  if (verdict.reason == refusal::duplicate) {  // asked again, perhaps over a new connection: the first one goes on
    if (auto known = routers_.find(id); known != routers_.end()) known->second = router;
    return {};
  }
  if (verdict.reason == refusal::would_wait)
    return make_overload(verdict.sentence, milliseconds_up(verdict.retry_after_us), milliseconds_up(verdict.closed_us));
  if (!verdict.accepted()) return make_failure(code_of(verdict.reason), verdict.sentence);
  routers_[id] = router;
  if (router && watched_routers_.insert(router.address()).second) self_->monitor(router);
  pump();
  return {};
}

void scheduler_rank::answer_early() {
  for (auto& early : std::exchange(early_, {})) {
    if (scheduler_ && early.message.epoch.value == view_.epoch) {
      if (auto refused = admit(early.message, early.router))
        early.answer.deliver(refused);
      else
        early.answer.deliver();
    } else {
      early.answer.deliver(make_failure(errc::stale_epoch, fmt::format("group {} does not serve epoch {}", state_.group,
                                                                       epoch_text(early.message.epoch.value))));
    }
  }
}

void scheduler_rank::on_abort(const abort_request& message) {
  if (fence_.judge({message.cluster, message.epoch.value}) != verdict::current || !scheduler_) return;
  if (scheduler_->abort(message.request) != abort_result::unknown) routers_.erase(message.request);
  pump();
}

/// Every rank: the plan is for this epoch and the next in order, or the rank is broken.
void scheduler_rank::on_plan(step_plan& plan) {
  if (fence_.judge({plan.cluster, plan.epoch.value}) != verdict::current || state_.phase != rank_phase::started) {
    spdlog::debug("plan-stale group={} rank={} epoch={} step={}", state_.group, state_.rank,
                  epoch_text(plan.epoch.value), plan.step);
    return;
  }
  if (!leads()) leader_ = caf::actor_cast<scheduler_rank_actor>(self_->current_sender());
  run_plan(plan);
}

void scheduler_rank::run_plan(step_plan& plan) {
  if (!leased()) {
    held_.emplace_back(std::move(plan));
    return;
  }
  if (plan.step != last_step_ + 1)
    return fail(loss_cause::unreachable,
                fmt::format("step {} came after step {}; a plan was lost", plan.step, last_step_));
  last_step_ = plan.step;
  watch_.begin_step(plan.step, self_->clock().now());
  watch_engine();
  if (plan.tokens() == plan.entries.size() && options_.progress)
    plain_steps_[plan.step] = options_.progress->waited_us();
  self_->send(engine_, std::move(plan));
}

void scheduler_rank::on_result(step_result& result) {
  if (fence_.judge({result.cluster, result.epoch.value}) != verdict::current) return;
  auto from_engine = self_->current_sender() && self_->current_sender()->address() == engine_.address();
  if (from_engine) {
    watch_.end_step(self_->clock().now());
    note_duration(result);
  }
  if (from_engine && state_.rank != view_.sampling_rank()) return;
  use_result(result);
}

void scheduler_rank::use_result(step_result& result) {
  if (!leased()) {
    held_.emplace_back(std::move(result));
    return;
  }
  if (!leads()) {
    self_->send(leader_, std::move(result));
    return;
  }
  if (!scheduler_) return;
  ++statistics_.steps;
  statistics_.busy_us += result.busy_us;
  statistics_.tokens_sampled += result.sampled.size();
  const auto now = self_->clock().now();
  if (--in_flight_ == 0) statistics_.active_us += microseconds(now - active_since_);
  // Of results that come together the later ones took no time that can be seen, and the first one theirs.
  const auto took = std::max<std::uint64_t>(1, microseconds(now - std::exchange(step_begun_, now)));
  auto outcome = scheduler_->complete(result, took);
  pump();  // the devices first, the clients after
  tell_routers(outcome, result.step);
}

void scheduler_rank::on_lease(const hold_lease& message) {
  if (fence_.judge({message.cluster, message.epoch.value}) == verdict::current) take_lease(message.until_ns);
}

/// With a lease again, what was held goes on where it stopped. Requests may have come before the first one.
void scheduler_rank::take_lease(std::int64_t until_ns) {
  auto until = from_nanoseconds(until_ns);
  if (until <= lease_until_) return;
  const bool first = lease_until_ == caf::actor_clock::time_point{};
  const bool waited = !leased();
  lease_until_ = until;
  if (!waited || !leased()) return;
  if (!first) {
    ++statistics_.lease_pauses;
    spdlog::warn("lease-returned group={} rank={} epoch={} held={}", state_.group, state_.rank, epoch_text(view_.epoch),
                 held_.size());
  }
  for (auto& message : std::exchange(held_, {})) {
    if (auto* plan = std::get_if<step_plan>(&message))
      run_plan(*plan);
    else
      use_result(std::get<step_result>(message));
  }
  if (scheduler_) pump();
}

void scheduler_rank::tell_routers(step_outcome& outcome, std::uint64_t step) {
  std::vector<std::pair<router_actor, tokens_sampled>> parcels;  // in the order of the plan, not of addresses
  for (auto& update : outcome.updates) {
    auto router = routers_.find(update.request);
    if (router == routers_.end()) continue;
    note_tokens(options_.trace, update, view_.epoch, step);
    auto same = [&](const auto& parcel) { return parcel.first == router->second; };
    auto parcel = std::find_if(parcels.begin(), parcels.end(), same);
    if (parcel == parcels.end()) parcel = parcels.insert(parcel, {router->second, {}});
    if (update.finish != finish_reason::none) routers_.erase(router);
    parcel->second.updates.push_back(std::move(update));
  }
  for (auto& [router, parcel] : parcels) {
    parcel.group = state_.group;
    parcel.epoch = epoch{view_.epoch};
    parcel.cluster = view_.cluster;
    self_->send(router, std::move(parcel));
  }
}

/// Plans as far ahead as the scheduler allows; every rank gets every plan, in order.
void scheduler_rank::pump() {
  while (scheduler_ && fence_.open() && leased()) {
    auto plan = scheduler_->plan();
    if (!plan) break;
    plan->cluster = view_.cluster;
    if (in_flight_++ == 0) active_since_ = step_begun_ = self_->clock().now();
    statistics_.tokens_planned += plan->tokens();
    for (auto& [rank, peer] : peers_)
      self_->send(peer, *plan);
    on_plan(*plan);
  }
  if (scheduler_ && fence_.open() && leased()) ask_trial();
}

/// A suspect runs alone, and its router knows before and after: whose fault a crash is outlives this process.
void scheduler_rank::ask_trial() {
  auto question = scheduler_->ask_trial();
  if (!question) return;
  trial_asked_ = question;
  if (auto router = routers_.find(question->request); router != routers_.end()) trial_router_ = router->second;
  // That the request has ended its router may not know yet; that a router is gone is answer enough.
  const bool asks = trial_router_ && watched_routers_.count(trial_router_.address()) > 0 &&
                    (!question->begins || routers_.count(question->request) > 0);
  if (asks)
    put_trial(*question, trial_router_);
  else
    answer_trial(*question, false);
}

void scheduler_rank::put_trial(const trial_question& question, const router_actor& router) {
  trial message{state_.group, epoch{view_.epoch}, question.request,
                question.begins ? trial_stage::begins : trial_stage::over};
  self_->request(router, options_.connect_timeout, std::move(message))
      .then([this, question](bool go) { answer_trial(question, go); },
            [this, question, router](const caf::error&) {  // late; one that is gone has been answered for
              self_->run_delayed(options_.report_interval, [this, question, router] {
                if (trial_asked_ == question) put_trial(question, router);
              });
            });
}

/// From the router, or for it when it is gone; an answer that nobody waits for any more changes nothing.
void scheduler_rank::answer_trial(const trial_question& question, bool go) {
  if (!scheduler_ || trial_asked_ != question) return;
  trial_asked_.reset();
  if (!go && question.begins) routers_.erase(question.request);
  scheduler_->answer_trial(question, go);
  pump();
}

/// Nobody waits for the requests of a router that is gone.
void scheduler_rank::lose_router(const caf::actor_addr& router) {
  if (!scheduler_) return;
  std::vector<request_id> orphans;
  for (const auto& [request, asker] : routers_)
    if (asker.address() == router) orphans.push_back(request);
  for (auto request : orphans) {
    scheduler_->abort(request);
    routers_.erase(request);
  }
  if (trial_asked_ && trial_router_.address() == router) return answer_trial(*trial_asked_, false);
  pump();
}

void scheduler_rank::tell_node() {
  self_->send(node_, rank_reported{state_, caf::actor_cast<scheduler_rank_actor>(self_)});
}

void scheduler_rank::report() {
  tell_node();
  self_->run_delayed(options_.report_interval, [this] { report(); });
}

group_statistics scheduler_rank::on_status() const {
  auto statistics = statistics_;
  statistics.fenced = fence_.counts();
  if (in_flight_ > 0) statistics.active_us += microseconds(self_->clock().now() - active_since_);
  if (scheduler_) statistics.scheduler = scheduler_->stats();
  return statistics;
}

}  // namespace troupe
