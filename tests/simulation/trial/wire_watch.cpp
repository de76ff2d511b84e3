// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/wire_watch.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "topology/epoch_number.hpp"
#include "topology/lease.hpp"

namespace troupe::simulation {
namespace {

template <class T>
const T* as(const caf::message& payload) {
  return payload.match_elements<T>() ? &payload.get_as<T>(0) : nullptr;
}

}  // namespace

void wire_watch::sent(const process& from, const process& to, const caf::message& payload) {
  if (const auto* view = as<cluster_view>(payload)) {
    for (const auto& group : view->groups)
      note_view(from, group);
    note_successor(*view);
    note_counts(*view);
  } else if (const auto* joins = as<join_group>(payload)) {
    // All that is heard of a cluster of one node; elsewhere a node may be late with it.
    auto known = watcher_.groups().find(joins->view.name);
    if (known == watcher_.groups().end() || known->second.epoch <= joins->view.epoch) note_view(from, joins->view);
  } else if (const auto* plan = as<step_plan>(payload)) {
    check_right(from, plan->epoch.value, "a plan");
  } else if (const auto* result = as<step_result>(payload)) {
    check_right(from, result->epoch.value, "a result");
  } else if (const auto* tokens = as<tokens_sampled>(payload)) {
    check_right(from, tokens->epoch.value, "tokens");
    note_tokens(*tokens);
  } else if (const auto* question = as<trial>(payload)) {
    if (question->stage == trial_stage::begins) watcher_.trial_began(question->epoch.value);
  } else if (const auto* report = as<rank_reported>(payload)) {
    if (report->state.phase == rank_phase::failed) failed_.insert(from.id());
  } else if (const auto* asked = as<enqueue>(payload)) {
    note_enqueue(*asked);
  } else if (const auto* message = as<submit>(payload)) {
    note_submit(from, to, *message);
  } else if (const auto* piece = as<answer>(payload)) {
    note_answer(to, *piece);
  } else if (const auto* more = as<grant>(payload)) {
    credits_[more->request].given += more->answers;
  } else if (const auto* reason = as<caf::error>(payload)) {
    note_error(*reason);
  }
}

void wire_watch::delivered(const process& to, const caf::message& payload) {
  if (const auto* joins = as<join_group>(payload))
    note_right(to, joins->view.name, joins->view.epoch, joins->lease_until_ns);
  else if (const auto* lease = as<hold_lease>(payload))
    note_right(to, {}, lease->epoch.value, lease->until_ns);
  else if (const auto* tokens = as<tokens_sampled>(payload))
    watcher_.tokens_arrived(*tokens);
  else if (const auto* view = as<cluster_view>(payload))
    for (const auto& group : view->groups)
      watcher_.node_told(to.id(), group);
}

/// What a topology actor makes of the epochs of the one before it.
void wire_watch::note_successor(const cluster_view& view) {
  for (const auto& group : view.groups) {
    if (view.generation == 0 || !succeeded_.insert({view.generation, group.name, group.epoch}).second) continue;
    const bool former = group.epoch != 0 && generation_of(group.epoch) < view.generation;
    if (former && group.phase == group_phase::serving) watcher_.probes().hit(probe::epoch_taken_up);
    if (group.ended.size() == 1 && generation_of(group.ended.front().epoch) < view.generation)
      watcher_.probes().hit(probe::epoch_not_taken_up);
  }
}

/// I7: of two epochs that any topology actor has called serving, only one has living processes with a lease. No router
/// is told of any other epoch, so that whoever has a lease for one has nothing to say.
void wire_watch::note_view(const process& by, const group_view& group) {
  watcher_.epoch_announced(group, by.name());
  if (group.members.empty()) return;
  auto& known = epochs_[group.name];
  const bool serves = group.phase == group_phase::serving && known.served.insert(group.epoch).second;
  const bool begins = group.epoch > known.begun;
  known.begun = std::max(known.begun, group.epoch);
  if (!begins && !serves) return;
  if (const auto* right = find_right(group.name, [&](auto epoch) { return epoch < group.epoch; }))
    watcher_.broken("I7", fmt::format("epoch {:x} of group {} {} while {} may go on in epoch {:x} for {} ms",
                                      group.epoch, group.name, begins ? "begins" : "serves", right->home->name(),
                                      right->epoch, (right->until - time_.now()) / ms(1)));
}

/// A living process that may go on in such an epoch, which has served; nullptr: there is none.
template <class Predicate>
const wire_watch::rank_right* wire_watch::find_right(const std::string& group, Predicate is_meant) const {
  const auto& served = epochs_.at(group).served;
  for (const auto& [key, right] : rights_)
    if (right.group == group && is_meant(right.epoch) && served.count(right.epoch) > 0 && right.home->alive() &&
        right.until > time_.now())
      return &right;
  return nullptr;
}

void wire_watch::note_right(const process& of, const std::string& group, std::uint64_t epoch, std::int64_t until_ns) {
  auto& right = rights_[{of.id(), epoch}];
  right.home = &of;
  right.epoch = epoch;
  if (!group.empty()) right.group = group;
  auto until = instant{std::chrono::nanoseconds{until_ns}};
  if (until <= right.until) return;
  if (right.until != instant{} && right.until < time_.now()) watcher_.probes().hit(probe::lease_over);
  right.until = until;
  if (until <= time_.now() || epochs_[right.group].served.count(epoch) == 0) return;
  if (const auto* later = find_right(right.group, [epoch](auto other) { return other > epoch; }))
    watcher_.broken("I7", fmt::format("{} gets a lease for epoch {:x} of group {} while {} has one for epoch {:x}",
                                      of.name(), epoch, right.group, later->home->name(), later->epoch));
}

/// I8: whoever holds no lease, or has called itself failed, says nothing.
void wire_watch::check_right(const process& of, std::uint64_t epoch, const char* what) {
  auto right = rights_.find({of.id(), epoch});
  if (right == rights_.end() || time_.now() >= right->second.until)
    watcher_.broken("I8", fmt::format("{} sends {} of epoch {:x} without a lease", of.name(), what, epoch));
  if (failed_.count(of.id()) > 0)
    watcher_.broken("I8", fmt::format("{} sends {} of epoch {:x} although it has failed", of.name(), what, epoch));
}

void wire_watch::note_tokens(const tokens_sampled& message) {
  auto& newest = spoke_[message.group];
  if (message.epoch.value < newest)
    watcher_.broken("I7", fmt::format("group {} tells tokens of epoch {:x} after those of epoch {:x}", message.group,
                                      message.epoch.value, newest));
  newest = std::max(newest, message.epoch.value);
  for (const auto& update : message.updates)
    for (const auto& token : update.tokens) {
      auto [known, fresh] =
          answers_.try_emplace({message.group, message.epoch.value, update.request.value, token.position}, token.token);
      if (!fresh && known->second != token.token)
        watcher_.broken("I10", fmt::format("epoch {:x} of group {} tells two tokens for position {} of request {}",
                                           message.epoch.value, message.group, token.position, update.request.value));
    }
}

void wire_watch::note_enqueue(const enqueue& message) {
  const auto& request = message.request;
  if (!placed_.insert({message.epoch.value, request.id.value}).second)
    return watcher_.probes().hit(probe::asked_again_in_an_epoch);
  tokens_placed_ += request.tokens.size();
  std::vector<token_id> prompt{request.tokens.begin(), request.tokens.begin() + request.prompt_tokens};
  auto [before, first] = placed_in_.try_emplace(std::move(prompt), message.epoch.value);
  if (!first && before->second != message.epoch.value) watcher_.probes().hit(probe::request_moved);
  before->second = message.epoch.value;
}

void wire_watch::note_submit(const process& from, const process& to, const submit& message) {
  window_[{from.id(), message.ticket}] = message.credit;
  auto& host = asked_at_[message.key];
  if (!message.have.tokens.empty())
    watcher_.probes().hit(host == to.host() ? probe::resumed_at_the_same_router : probe::resumed_at_another_router);
  host = to.host();
  watcher_.asked_for(message.what.prompt.tokens, host);
}

/// I12: a client is sent no more pieces than it has said it can take; an end by an error needs no credit.
void wire_watch::note_answer(const process& to, const answer& message) {
  auto& book = credits_[message.request];
  if (book.tickets.insert(message.ticket).second) book.given += window_[{to.id(), message.ticket}];
  if (!message.event.error_code.empty() || ++book.used <= book.given) return;
  watcher_.broken("I12", fmt::format("request {} was sent {} pieces of its answer against {} credits",
                                     message.request.value, book.used, book.given));
}

void wire_watch::note_error(const caf::error& reason) {
  auto& probes = watcher_.probes();
  if (reason == errc::stale_epoch) probes.hit(probe::stale_refused);
  if (reason == errc::queue_full) probes.hit(probe::queue_full);
  if (reason == errc::overloaded) probes.hit(probe::wait_refused);
  if (reason == errc::context_length_exceeded) probes.hit(probe::kv_refused);
}

void wire_watch::note_counts(const cluster_view& view) {
  auto& known = counts_[view.generation];
  auto count = [this](std::uint64_t& before, std::uint64_t now, probe which) {
    for (; before < now; ++before)
      watcher_.probes().hit(which);
  };
  count(known.lease_waits, view.counts.lease_waits, probe::lease_waited);
  count(known.lease_waits_skipped, view.counts.lease_waits_skipped, probe::lease_wait_skipped);
  count(known.spares_used, view.counts.spares_used, probe::spare_used);
  count(known.shrinks, view.counts.shrinks, probe::shrunk);
  count(known.growths, view.counts.growths, probe::grown);
}

}  // namespace troupe::simulation
