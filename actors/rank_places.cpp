// SPDX-License-Identifier: Apache-2.0
#include "actors/rank_places.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/trace_notes.hpp"
#include "topology/epoch_number.hpp"

namespace troupe {

rank_places::rank_places(std::string node, std::uint64_t boot, std::shared_ptr<rank_launcher> launcher, tracer trace)
    : node_(std::move(node)), boot_(boot), launcher_(std::move(launcher)), trace_(std::move(trace)) {}

void rank_places::list(const cluster_file& file) {
  for (auto& [device, at] : places_)
    at.listed = false;
  restart_limits limits;
  limits.restarts = file.restart_limit;
  limits.window = std::chrono::seconds(file.restart_window_s);
  auto add = [&](const rank_place& where) {
    if (where.node != node_) return;
    auto [at, fresh] = places_.try_emplace(to_string(where.device));
    at->second.listed = true;
    if (!fresh) return;
    at->second.policy = restart_policy{limits};
    at->second.state.node = node_;
    at->second.state.device = at->first;
    at->second.state.phase = rank_phase::ended;
  };
  for (const auto& group : file.groups)
    std::for_each(group.ranks.begin(), group.ranks.end(), add);
  std::for_each(file.spares.begin(), file.spares.end(), add);
}

bool rank_places::outdated(const place& at, const cluster_view& view) const {
  if (at.state.epoch == 0) return !at.listed;
  auto group = std::find_if(view.groups.begin(), view.groups.end(),
                            [&](const group_view& x) { return x.name == at.state.group; });
  if (group == view.groups.end()) return true;
  if (group->epoch != at.state.epoch) return group->epoch > at.state.epoch;
  const auto* member = group->find_member(node_, at.state.device);
  return !member || member->incarnation != at.state.incarnation || member->boot != boot_;
}

void rank_places::end_outdated(const cluster_view& view) {
  for (auto& [device, at] : places_) {
    if (!at.running) continue;
    if (at.state.phase == rank_phase::failed)
      kill(at, false);
    else if (outdated(at, view))
      kill(at, true);
  }
  std::erase_if(places_, [](const auto& x) { return !x.second.listed && !x.second.running; });
}

void rank_places::kill(place& at, bool ordered) {
  // What came first counts: a rank that failed makes its epoch outdated, too.
  if (!std::exchange(at.ending, true)) {
    at.ordered_end = ordered;
    if (at.state.epoch != 0) troupe::note_end(trace_, at.state);
  }
  launcher_->kill({at.state.device, at.state.incarnation});
}

void rank_places::end_all() {
  for (auto& [device, at] : places_)
    if (at.running) kill(at, true);
}

bool rank_places::end_silent(const caf::actor_addr& rank, const caf::error& reason) {
  for (auto& [device, at] : places_) {
    if (!at.running || !at.handle || at.handle.address() != rank) continue;
    // Ended, or silent for as long as CAF waits: in either case it is of no use, and must not come back.
    spdlog::warn("rank-silent place={}/{} incarnation={} reason=\"{}\"", node_, device, at.state.incarnation,
                 to_string(reason));
    kill(at, false);
    return true;
  }
  return false;
}

void rank_places::start_due(const node_actor& node, time_point now) {
  for (auto& [device, at] : places_)
    if (!at.running && at.listed && at.policy.may_start(now)) launch(at, node, now);
}

void rank_places::launch(place& at, const node_actor& node, time_point now) {
  rank_state fresh;
  fresh.node = node_;
  fresh.device = at.state.device;
  fresh.incarnation = at.state.incarnation + 1;
  // What the one before died of stays known: the report of its end may have got lost.
  fresh.cause = at.state.cause;
  fresh.message = std::move(at.state.message);
  at.state = std::move(fresh);
  at.handle = nullptr;
  at.running = true;
  at.ending = at.ordered_end = false;
  at.started = {};
  try {
    launcher_->launch({at.state.device, at.state.incarnation}, node);
    trace_({.count = static_cast<std::uint32_t>(at.state.incarnation), .hop = trace_hop::rank_started});
    spdlog::info("rank-launched place={}/{} incarnation={}", node_, at.state.device, at.state.incarnation);
  } catch (const std::runtime_error& error) {
    at.running = false;
    at.state.cause = loss_cause::crashed;
    at.state.message = error.what();
    spdlog::error("rank-launch-failed place={}/{} reason=\"{}\"", node_, at.state.device, error.what());
    note_end(at, now);
  }
}

const rank_places::place* rank_places::take_report(rank_reported& message, time_point now,
                                                   const std::function<void()>& on_new) {
  auto found = places_.find(message.state.device);
  if (found == places_.end() || found->second.state.incarnation != message.state.incarnation || !found->second.running)
    return nullptr;
  auto& at = found->second;
  if (message.state.cause == loss_cause::none) {
    message.state.cause = at.state.cause;
    message.state.message = at.state.message;
  }
  const bool changed = at.state != message.state;
  if (message.state.phase == rank_phase::started && at.state.phase != rank_phase::started) at.started = now;
  at.state = std::move(message.state);
  if (at.handle != message.self) {
    at.handle = std::move(message.self);
    on_new();
  }
  return changed ? &at : nullptr;
}

bool rank_places::take_exit(const rank_exited& message, time_point now) {
  auto found = places_.find(message.device);
  if (found == places_.end() || found->second.state.incarnation != message.incarnation || !found->second.running)
    return false;
  auto& at = found->second;
  at.running = false;
  at.handle = nullptr;
  if (at.ordered_end) {
    spdlog::info("rank-ended place={}/{} incarnation={} epoch={}", node_, message.device, message.incarnation,
                 epoch_text(at.state.epoch));
    at.state.phase = rank_phase::ended;
    return true;
  }
  spdlog::warn("rank-exited place={}/{} incarnation={} epoch={} reason=\"{}\"", node_, message.device,
               message.incarnation, epoch_text(at.state.epoch), message.reason);
  // What the rank said itself before it ended says more than how it ended.
  if (at.state.phase != rank_phase::failed) {
    at.state.cause = message.cause;
    at.state.message = message.reason;
  }
  note_rank(trace_, trace_hop::rank_lost, at.state);
  note_end(at, now);
  return true;
}

void rank_places::note_end(place& at, time_point now) {
  auto served = at.started == time_point{} ? time_point::duration{} : now - at.started;
  auto whose = at.state.cause == loss_cause::unreachable ? restart_policy::fault::peer : restart_policy::fault::own;
  at.policy.note_end(now, served, whose);
  at.state.phase = at.policy.down()               ? rank_phase::down
                   : at.policy.next_start() > now ? rank_phase::delayed
                                                  : rank_phase::ended;
  if (at.state.phase != rank_phase::down) return;
  at.state.message = fmt::format(
      "{}/{} ended too often and is down for ten minutes, or until `troupe restart {}/{}`; "
      "last: {}",
      node_, at.state.device, node_, at.state.device, at.state.message);
  spdlog::error("rank-down place={}/{} reason=\"{}\"", node_, at.state.device, at.state.message);
}

bool rank_places::forgive(const std::string& device) {
  auto found = places_.find(device);
  if (found == places_.end()) return false;
  found->second.policy.forgive();
  return true;
}

const rank_places::place* rank_places::find(const group_member& member) const {
  if (member.node != node_ || member.boot != boot_) return nullptr;
  auto found = places_.find(member.device);
  if (found == places_.end() || found->second.state.incarnation != member.incarnation) return nullptr;
  return &found->second;
}

std::vector<rank_state> rank_places::states() const {
  std::vector<rank_state> states;
  for (const auto& [device, at] : places_)
    states.push_back(at.state);
  return states;
}

}  // namespace troupe
