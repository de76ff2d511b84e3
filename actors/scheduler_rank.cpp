// SPDX-License-Identifier: Apache-2.0
#include "actors/scheduler_rank.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace troupe {
namespace {

errc code_of(refusal reason) {
  switch (reason) {
    case refusal::queue_full:
      return errc::queue_full;
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

}  // namespace

scheduler_rank::scheduler_rank(scheduler_rank_actor::impl* self, node_actor node, scheduler_rank_options options,
                               std::function<engine_rank_actor()> spawn_engine)
    : self_(self),
      node_(std::move(node)),
      options_(std::move(options)),
      engine_(spawn_engine()),
      state_(options_.identity) {}

scheduler_rank_actor::behavior_type scheduler_rank::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    if (down.source == engine_.address())
      fail(loss_cause::crashed, fmt::format("the engine ended: {}", describe(down.reason)));
    else if (down.source == node_.address())
      self_->quit(down.reason);  // a rank never outlives its node
    else if (watched_routers_.erase(down.source) > 0)
      lose_router(down.source);
    else
      fail(loss_cause::unreachable, "the connection to another rank of the group was lost");
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

caf::result<void> scheduler_rank::on_enqueue(enqueue& message) {
  if (!scheduler_ || message.epoch.value != view_.epoch)
    return make_failure(errc::stale_epoch,
                        fmt::format("group {} does not serve epoch {}", state_.group, message.epoch.value));
  auto id = message.request.id;
  auto verdict = scheduler_->enqueue(std::move(message.request));
  if (verdict.reason == refusal::duplicate) return caf::unit;  // asked again: the first one goes on
  if (!verdict.accepted()) return make_failure(code_of(verdict.reason), verdict.sentence);
  auto& router = routers_[id] = caf::actor_cast<router_actor>(self_->current_sender());
  if (router && watched_routers_.insert(router.address()).second) self_->monitor(router);
  pump();
  return caf::unit;
}

void scheduler_rank::on_abort(const abort_request& message) {
  if (!scheduler_ || message.epoch.value != view_.epoch) return;
  if (scheduler_->abort(message.request) != abort_result::unknown) routers_.erase(message.request);
  pump();
}

/// Every rank: the plan is for this epoch and the next in order, or the rank is broken.
void scheduler_rank::on_plan(step_plan& plan) {
  if (plan.epoch.value != view_.epoch || state_.phase != rank_phase::started) {
    spdlog::debug("plan-stale group={} rank={} epoch={} step={}", state_.group, state_.rank, plan.epoch.value,
                  plan.step);
    return;
  }
  if (plan.step != last_step_ + 1)
    return fail(loss_cause::unreachable,
                fmt::format("step {} came after step {}; a plan was lost", plan.step, last_step_));
  last_step_ = plan.step;
  if (!leads()) leader_ = caf::actor_cast<scheduler_rank_actor>(self_->current_sender());
  self_->send(engine_, std::move(plan));
}

void scheduler_rank::on_result(step_result& result) {
  if (result.epoch.value != view_.epoch) return;
  auto from_engine = self_->current_sender() && self_->current_sender()->address() == engine_.address();
  if (from_engine && state_.rank != options_.sampling_rank) return;
  if (!leads()) {
    self_->send(leader_, std::move(result));
    return;
  }
  if (!scheduler_) return;
  ++statistics_.steps;
  statistics_.busy_us += result.busy_us;
  statistics_.tokens_sampled += result.sampled.size();
  if (--in_flight_ == 0) statistics_.active_us += microseconds(self_->clock().now() - active_since_);
  auto outcome = scheduler_->complete(result);
  pump();  // the devices first, the clients after
  tell_routers(outcome);
}

void scheduler_rank::tell_routers(step_outcome& outcome) {
  std::vector<std::pair<router_actor, tokens_sampled>> parcels;  // in the order of the plan, not of addresses
  for (auto& update : outcome.updates) {
    auto router = routers_.find(update.request);
    if (router == routers_.end()) continue;
    auto same = [&](const auto& parcel) { return parcel.first == router->second; };
    auto parcel = std::find_if(parcels.begin(), parcels.end(), same);
    if (parcel == parcels.end()) parcel = parcels.insert(parcel, {router->second, {}});
    if (update.finish != finish_reason::none) routers_.erase(router);
    parcel->second.updates.push_back(std::move(update));
  }
  for (auto& [router, parcel] : parcels) {
    parcel.group = state_.group;
    parcel.epoch = epoch{view_.epoch};
    self_->send(router, std::move(parcel));
  }
}

/// Plans as far ahead as the scheduler allows; every rank gets every plan, in order.
void scheduler_rank::pump() {
  while (auto plan = scheduler_->plan()) {
    if (in_flight_++ == 0) active_since_ = self_->clock().now();
    statistics_.tokens_planned += plan->tokens();
    for (auto& [rank, peer] : peers_)
      self_->send(peer, *plan);
    on_plan(*plan);
  }
  ask_trial();
}

/// A suspect runs alone, and its router knows before and after: whose fault a crash is outlives this process.
void scheduler_rank::ask_trial() {
  auto question = scheduler_->ask_trial();
  if (!question) return;
  auto router = routers_.find(question->request);
  if (router != routers_.end()) return put_trial(*question, router->second);
  auto asker = trial_router_;  // it ended, and its router may not know yet that it did
  if (!question->begins && asker) return put_trial(*question, asker);
  scheduler_->answer_trial(*question, false);
  pump();
}

void scheduler_rank::put_trial(const trial_question& question, const router_actor& router) {
  trial_router_ = router;
  trial message{state_.group, epoch{view_.epoch}, question.request,
                question.begins ? trial_stage::begins : trial_stage::over};
  auto answered = [this, question, at = view_.epoch](bool go) {
    if (!scheduler_ || view_.epoch != at) return;
    if (!go && question.begins) routers_.erase(question.request);
    scheduler_->answer_trial(question, go);
    pump();
  };
  self_->request(router, options_.connect_timeout, std::move(message))
      .then(answered, [this, answered, question, router](const caf::error&) {
        // The router is gone, or late: as long as it lives, it is asked again.
        if (watched_routers_.count(router.address()) == 0) return answered(false);
        self_->run_delayed(options_.report_interval, [this, question, router] {
          if (scheduler_) put_trial(question, router);
        });
      });
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
  pump();
}

void scheduler_rank::on_join(const join_group& message) {
  const auto& view = message.view;
  if (view.name != state_.group || view.epoch < view_.epoch) return;
  auto mine = state_.rank < view.members.size() && view.members[state_.rank].incarnation == state_.incarnation;
  if (!mine) return;
  if (view.phase == group_phase::starting && state_.phase == rank_phase::present) start(view);
  if (view.phase == group_phase::serving && view.epoch == view_.epoch && leads() && !scheduler_ &&
      state_.phase == rank_phase::started) {
    view_ = view;
    reach_peers(message);
  }
}

void scheduler_rank::start(const group_view& view) {
  view_ = view;
  state_.phase = rank_phase::starting;
  state_.epoch = view.epoch;
  spdlog::info("rank-joins group={} rank={} epoch={}", state_.group, state_.rank, view.epoch);
  self_->send(engine_, view);
}

void scheduler_rank::on_started(const engine_started& message) {
  if (message.epoch.value != view_.epoch) return;
  state_.phase = rank_phase::started;
  state_.weight_bytes = message.report.weight_bytes;
  state_.kv_bytes = message.report.kv_bytes;
  state_.blocks = message.report.blocks;
  state_.block_tokens = message.report.block_tokens;
  tell_node();
}

/// Rank 0 of a serving group: finds the other ranks, then leads. The node repeats join_group, so a failed attempt is
/// made again.
void scheduler_rank::reach_peers(const join_group& message) {
  for (const auto& member : view_.members) {
    if (member.rank == state_.rank || peers_.count(member.rank) > 0) continue;
    if (member.rank < message.local.size() && message.local[member.rank]) {
      peers_[member.rank] = message.local[member.rank];
      continue;
    }
    connect<scheduler_rank_actor>(
        self_, options_.network, member.door, options_.connect_timeout,
        [this, rank = member.rank, epoch = view_.epoch](scheduler_rank_actor peer) {
          if (epoch != view_.epoch || peers_.count(rank) > 0) return;
          self_->monitor(peer);
          peers_[rank] = std::move(peer);
          lead();
        },
        [this, member](const caf::error& reason) {
          spdlog::warn("rank-unreachable group={} rank={} door={}:{} reason=\"{}\"", state_.group, member.rank,
                       member.door.host, member.door.port, to_string(reason));
        });
  }
  lead();
}

void scheduler_rank::lead() {
  if (scheduler_ || peers_.size() + 1 != view_.members.size()) return;
  auto options = options_.scheduler;
  options.epoch = epoch{view_.epoch};
  options.blocks = view_.blocks;
  options.block_tokens = view_.block_tokens;
  scheduler_.emplace(std::move(options));
  spdlog::info("group-serves group={} epoch={} ranks={} blocks={} block_tokens={}", state_.group, view_.epoch,
               view_.members.size(), view_.blocks, view_.block_tokens);
}

/// The rank is of no use any more; the topology actor decides what follows.
void scheduler_rank::fail(loss_cause cause, std::string reason) {
  if (state_.phase == rank_phase::failed) return;
  spdlog::error("rank-failed group={} rank={} epoch={} reason=\"{}\"", state_.group, state_.rank, view_.epoch, reason);
  state_.phase = rank_phase::failed;
  state_.cause = cause;
  state_.message = std::move(reason);
  scheduler_.reset();
  tell_node();
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
  if (in_flight_ > 0) statistics.active_us += microseconds(self_->clock().now() - active_since_);
  if (scheduler_) statistics.scheduler = scheduler_->stats();
  return statistics;
}

}  // namespace troupe
