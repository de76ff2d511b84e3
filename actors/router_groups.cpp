// SPDX-License-Identifier: Apache-2.0
// The router's side towards the groups: placing requests, losses, suspects and their trials.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "actors/router.hpp"
#include "actors/trace_notes.hpp"

namespace troupe {
namespace {

/// A suspect runs alone until it has this many tokens more than when the group crashed: what was planned ahead, and
/// what the group had not told any more.
constexpr std::uint32_t trial_tokens = 8;

/// A group that has no room for anything is asked again after so long at the latest: requests end unforeseen, too.
constexpr std::chrono::milliseconds closed_max{100};

}  // namespace

request_record* router::find_placement(request_id placement) {
  auto found = placements_.find(placement);
  return found == placements_.end() ? nullptr : &records_.at(found->second);
}

/// Moves a request's load; every placement has a name of its own, so that what an earlier one still gives is unknown.
void router::set_group(request_record& entry, const serving_group* group) {
  placements_.erase(entry.request.id);
  if (!entry.group.empty()) --load_[entry.group];
  entry.group = group ? group->name : std::string{};
  if (!group) return;
  ++load_[entry.group];
  entry.epoch = group->epoch;
  if (std::find(entry.ran_in.begin(), entry.ran_in.end(), group->epoch) == entry.ran_in.end())
    entry.ran_in.push_back(group->epoch);
  if (entry.ran_in.size() > 16) entry.ran_in.erase(entry.ran_in.begin());
  placements_[entry.request.id] = entry.id;
}

/// Gives a request to the group with the fewest requests of this router, on a tie to one of this machine; without any
/// group it waits. A new one is refused when every group has refused it or is known to be about to.
void router::place(request_record& entry) {
  if (finish_if_complete(entry)) return;
  const serving_group* best = nullptr;
  auto load = [this](const serving_group& group) {
    auto found = load_.find(group.name);
    return std::pair{found == load_.end() ? 0U : found->second, group.local ? 0 : 1};
  };
  const bool is_new = !entry.admitted && !entry.promised;
  for (const auto& [group_name, group] : groups_) {
    if (group.draining || (is_new && entry.refused_by.contains(group_name))) continue;
    if (auto* full = is_new ? closed(group_name, entry.request.priority) : nullptr) {
      if (!entry.refusal) entry.refusal = *full;
      continue;
    }
    if (!best || load(group) < load(*best)) best = &group;
  }
  if (!best && entry.refusal) return refuse(entry, caf::error{entry.refusal});
  entry.lost.reset();
  entry.trial_epoch.reset();
  if (!best) return set_group(entry, nullptr);
  // The first placement has the request's own name.
  auto again = entry.epoch.value != 0;
  placements_.erase(entry.request.id);
  if (again) entry.request.id = request_id{next_request_++};
  set_group(entry, best);
  note_request(options_.trace, trace_hop::enqueued, entry, entry.request.tokens.size());
  if (again && !is_new) {
    ++status_.moved;
    spdlog::info("request-placed request={} as={} group={} epoch={} tokens={} suspect={}", entry.id.value,
                 entry.request.id.value, entry.group, entry.epoch.value, entry.request.tokens.size(),
                 entry.request.trial_until != 0);
  }
  entry.leader = best->leader;
  entry.cluster = best->cluster;
  enqueue_at_leader(entry);
}

/// Asked again for what it has, a group goes on with it; for what it has not, or not any more, it begins with the
/// tokens that are here.
void router::enqueue_at_leader(request_record& entry) {
  entry.heard = self_->clock().now();
  auto placement = entry.request.id;
  self_
      ->request(entry.leader, options_.enqueue_timeout,
                enqueue{entry.epoch, entry.request, entry.cluster, entry.admitted || entry.promised})
      .then([this, placement] { on_admitted(placement); },
            [this, placement](const caf::error& reason) { on_enqueue_failed(placement, reason); });
}

void router::on_admitted(request_id placement) {
  auto* entry = find_placement(placement);
  if (!entry || entry->admitted) return;
  ++status_.accepted;
  entry->admitted = true;
  entry->refused_by.clear();
  entry->refusal = {};
  note_request(options_.trace, trace_hop::admitted, *entry);
  spdlog::debug("request-accepted request={} group={} epoch={} prompt_tokens={}", entry->id.value, entry->group,
                entry->epoch.value, entry->request.prompt_tokens);
  for (auto& promise : std::exchange(entry->acceptances, {}))
    promise.deliver(acceptance_of(*entry));
}

void router::on_enqueue_failed(request_id placement, const caf::error& reason) {
  auto* entry = find_placement(placement);
  if (!entry) return;
  auto stale = reason == errc::stale_epoch;
  if (reason.category() == caf::type_id_v<errc> && !stale) {
    std::erase(entry->ran_in, entry->epoch);
    if (reason == errc::context_length_exceeded && entry->output_tokens() > 0) {
      // The group's memory is at its end, where an answer that was not interrupted ends, too.
      set_group(*entry, nullptr);
      entry->ending = finish_reason::length;
      return begin_text(*entry);
    }
    const bool is_new = !entry->admitted && !entry->promised;
    if (is_new && (reason == errc::overloaded || reason == errc::queue_full)) return try_elsewhere(*entry, reason);
    if (!entry->admitted) return refuse(*entry, reason);
    return set_group(*entry, nullptr);  // accepted before: it waits for room or another group
  }
  // The group is gone, and its node has not said so yet. Whether it crashed over this request is not known either.
  groups_.erase(entry->group);
  if (stale) std::erase(entry->ran_in, entry->epoch);
  set_group(*entry, nullptr);
  if (stale && !groups_.empty()) return place(*entry);
  if (!stale) entry->lost = self_->clock().now();
}

/// A group has no room for a new request: the others are asked, each once.
void router::try_elsewhere(request_record& entry, const caf::error& reason) {
  const auto now = self_->clock().now();
  if (const auto span = std::min(closed_for(reason), closed_max); span.count() > 0)
    closed_[entry.group] = {now + span, entry.request.priority, reason};
  entry.refused_by.insert(entry.group);
  if (!entry.refusal || retry_after(reason) < retry_after(entry.refusal)) entry.refusal = reason;
  set_group(entry, nullptr);
  place(entry);
}

/// Why a group is not asked now; null: it may be.
const caf::error* router::closed(const std::string& group, std::int32_t priority) const {
  auto found = closed_.find(group);
  if (found == closed_.end() || priority < 0 || priority > found->second.priority) return nullptr;
  return self_->clock().now() < found->second.until ? &found->second.refusal : nullptr;
}

/// A request that every group would refuse costs neither tokenizer nor group anything.
caf::error router::find_closed(std::int32_t priority) const {
  caf::error soonest;
  for (const auto& [group_name, group] : groups_) {
    if (group.draining) continue;
    auto* full = closed(group_name, priority);
    if (!full) return {};
    if (!soonest || retry_after(*full) < retry_after(soonest)) soonest = *full;
  }
  return soonest;
}

/// A group runs a suspect of ours alone from now on, or has done so.
caf::result<bool> router::on_trial(const trial& message) {
  auto* entry = find_placement(message.request);
  if (!entry || entry->epoch != message.epoch || entry->ended) return false;
  if (message.stage == trial_stage::begins) {
    ++status_.trials;
    entry->trial_epoch = message.epoch;
    spdlog::info("trial-begins request={} group={} epoch={} tokens={}", entry->id.value, message.group,
                 message.epoch.value, entry->request.tokens.size());
    return true;
  }
  entry->trial_epoch.reset();
  if (entry->request.tokens.size() >= entry->request.trial_until) entry->request.trial_until = 0;
  spdlog::info("trial-over request={} group={} epoch={} tokens={}", entry->id.value, message.group, message.epoch.value,
               entry->request.tokens.size());
  return true;
}

/// What is known now of the epochs that a request ran in. True when the request has been ended for it.
bool router::judge(request_record& entry, const std::set<troupe::epoch>& tried, time_point now) {
  auto accused = false;
  std::erase_if(entry.ran_in, [&](troupe::epoch past) {
    auto verdict = quarantine_.verdict(past.value);
    if (!verdict) return false;
    auto innocent = tried.contains(past) && entry.trial_epoch != past;  // another request ran alone there
    accused = accused || (quarantine::accuses(*verdict) && !innocent);
    if (entry.trial_epoch == past && !quarantine::accuses(*verdict)) entry.trial_epoch.reset();
    return true;
  });
  if (accused && entry.trial_epoch && quarantine_.verdict(entry.trial_epoch->value)) {
    ++status_.poisoned;
    quarantine_.refuse(entry.fingerprint, now);
    fail(entry, make_failure(errc::poison,
                             "the request crashed a group twice, the second time alone; it is refused "
                             "for 10 minutes"));
    return true;
  }
  if (accused) entry.request.trial_until = static_cast<std::uint32_t>(entry.request.tokens.size()) + trial_tokens;
  return false;
}

/// A group whose epoch is over gives its requests back; they go, with the tokens they have, to whichever group serves,
/// once it is known why: a request that may have crashed its group is tried alone.
void router::on_groups(serving_groups& message) {
  auto now = self_->clock().now();
  groups_.clear();
  for (auto& group : message.groups) {
    fences_.try_emplace(group.name, fence{group.cluster}).first->second.enter(group.epoch.value);
    groups_.emplace(group.name, std::move(group));
  }
  std::erase_if(closed_, [this](const auto& each) { return !groups_.contains(each.first); });
  cut_off_ = message.cut_off;
  out_of_use_ = message.draining;
  why_not_ = std::move(message.why);
  quarantine_.learn(message.ended);
  std::vector<request_id> ids;
  std::set<troupe::epoch> tried;  // epochs in which a request of ours was alone
  for (const auto& [id, entry] : records_) {
    if (entry.needs_group()) ids.push_back(id);
    if (entry.trial_epoch) tried.insert(*entry.trial_epoch);
  }
  for (auto id : ids) {
    auto& entry = records_.at(id);
    if (judge(entry, tried, now)) continue;
    auto group = groups_.find(entry.group);
    if (group != groups_.end() && group->second.epoch == entry.epoch) {
      entry.lost.reset();
      if (group->second.leader == entry.leader) continue;
      // The connection was made anew: what was on its way over the old one is lost.
      abort_in_group(entry);
      std::erase(entry.ran_in, entry.epoch);
      place(entry);
      continue;
    }
    auto serves = [&entry](const auto& other) { return other.second.epoch == entry.epoch; };
    auto unknown = std::find(entry.ran_in.begin(), entry.ran_in.end(), entry.epoch) != entry.ran_in.end() &&
                   std::none_of(groups_.begin(), groups_.end(), serves);
    if (unknown) {
      if (!entry.lost || cut_off_) entry.lost = now;  // nobody can say it to a node that is cut off
      if (now - *entry.lost < options_.verdict_limit) continue;
      entry.request.trial_until = static_cast<std::uint32_t>(entry.request.tokens.size()) + trial_tokens;
      std::erase(entry.ran_in, entry.epoch);
    }
    if (!entry.group.empty()) note_move(options_.trace, entry);
    if (!entry.group.empty())
      spdlog::info("request-moved request={} group={} epoch={} tokens={}", id.value, entry.group, entry.epoch.value,
                   entry.request.tokens.size());
    place(entry);
  }
}

void router::abort_in_group(request_record& entry) {
  auto group = groups_.find(entry.group);
  if (group == groups_.end() || group->second.epoch != entry.epoch || entry.ending != finish_reason::none) return;
  self_->send(group->second.leader, abort_request{entry.epoch, entry.request.id, group->second.cluster});
}

}  // namespace troupe
