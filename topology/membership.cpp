// SPDX-License-Identifier: Apache-2.0
#include "topology/membership.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "topology/epoch_number.hpp"
#include "topology/fence.hpp"

namespace troupe {
namespace {

using seconds = std::chrono::duration<double>;

std::string with_time_left(const std::string& what, membership::time_point since, membership::time_point now,
                           seconds limit) {
  return fmt::format("waiting for {} ({:.0f} s of {:.0f} s)", what, seconds(now - since).count(), limit.count());
}

group_view make_view(const group_spec& group, std::uint64_t cluster) {
  group_view view;
  view.name = group.name;
  view.cluster = cluster;
  view.tensor = group.tensor;
  view.pipeline = group.pipeline;
  return view;
}

}  // namespace

std::string to_string(rank_phase x) {
  constexpr const char* names[] = {"launching", "present", "starting", "started", "failed", "ended", "delayed", "down"};
  return names[static_cast<int>(x)];
}

std::string to_string(group_phase x) {
  constexpr const char* names[] = {"gathering", "starting", "serving", "failed", "drained"};
  return names[static_cast<int>(x)];
}

std::string to_string(loss_cause x) {
  constexpr const char* names[] = {"none", "crashed", "hung", "killed", "unreachable"};
  return names[static_cast<int>(x)];
}

membership::membership(cluster_file file, membership_options options, time_point now)
    : file_(std::move(file)), options_(std::move(options)), begun_(now) {
  view_.cluster = file_.cluster;
  view_.generation = options_.generation;
  view_.fingerprint = file_.fingerprint;
  for (const auto& node : file_.nodes)
    view_.nodes.push_back({node.name, false, false, "not heard of yet", {}});
  for (const auto& group : file_.groups) {
    view_.groups.push_back(make_view(group, cluster_id(file_)));
    groups_[group.name] = {.spec = group, .since = now, .old = {}, .full_since = {}};
  }
}

bool membership::advance(time_point now) {
  auto before_nodes = view_.nodes;
  auto before_groups = view_.groups;
  auto before_fingerprint = view_.fingerprint;
  // A place that one group gives back may be what another one waits for: until nothing moves, but not for ever.
  for (int round = 0; round < 8; ++round) {
    refresh_nodes(now);
    if (!advance_groups(now)) break;
  }
  if (before_nodes == view_.nodes && before_groups == view_.groups && before_fingerprint == view_.fingerprint)
    return false;
  ++view_.revision;
  for (auto& [name, record] : groups_)
    if (record.drain_since && record.drain_revision == 0) record.drain_revision = view_.revision;
  return true;
}

bool membership::advance_groups(time_point now) {
  bool moved = false;
  for (auto& view : view_.groups) {
    auto phase = view.phase;
    auto& record = groups_[view.name];
    record.served = record.served || heard_of(view.name).served;
    advance_group(view, record, now);
    view.served = record.served;
    moved = moved || phase != view.phase;
  }
  auto over = [this](const group_view& view) {
    return view.phase == group_phase::drained && groups_[view.name].leaves && groups_[view.name].old.empty();
  };
  for (const auto& view : view_.groups)
    if (over(view)) moved = true;
  std::erase_if(view_.groups, over);
  std::erase_if(groups_, [this](const auto& group) {
    return std::none_of(view_.groups.begin(), view_.groups.end(),
                        [&](const group_view& view) { return view.name == group.first; });
  });
  return moved;
}

void membership::advance_group(group_view& view, group_record& record, time_point now) {
  if (drain_group(view, record, now)) return;
  switch (view.phase) {
    case group_phase::gathering:
    case group_phase::failed:
      return gather(view, record, now);
    case group_phase::starting:
      return start(view, record, now);
    case group_phase::serving:
      return serve(view, record, now);
    case group_phase::drained:
      return;
  }
}

std::uint64_t membership::generation_wanted() const {
  const auto last = make_epoch(options_.generation, counter_);
  if (options_.generation != 0 && heard_ <= last) return 0;
  return generation_of(std::max(heard_, last)) + 1;
}

void membership::use_generation(std::uint64_t generation, bool first) {
  first_ = first;
  if (options_.generation != 0 && generation > options_.generation) {
    ++view_.counts.generations_raised;
    lost_generation_ = options_.generation;
  }
  options_.generation = generation;
  counter_ = 0;
  view_.generation = generation;
  view_.alarm.clear();
}

std::uint64_t membership::next_epoch() { return make_epoch(options_.generation, ++counter_); }

void membership::gather(group_view& view, group_record& record, time_point now) {
  if (adopt(view, record, now)) return;
  if (generation_wanted() != 0) {
    view.message = "waiting for the generation of new epochs to be written down";
    return;
  }
  const auto limit = std::chrono::seconds(file_.startup_timeout_s);
  auto choice = choose(view, record);
  // Before a group has served, its nodes may still be on their way: they are waited for as long as a start may take.
  const auto waited = now - record.since;
  choice.spares_for_absent = record.served || waited >= limit;
  choice.spares_for_coming = record.served ? waited >= options_.spare_wait : waited >= limit;
  choice.shrink = record.spec.shrink && (record.served ? waited >= options_.shrink_wait : waited >= limit);
  auto chosen = place_group(record.spec, choice);
  if (chosen.places.empty()) {
    auto missing = describe_missing(chosen);
    const bool over =
        waited >= limit || (record.served && chosen.hopeless && !will_start(chosen) && waited >= options_.shrink_wait);
    view.phase = over ? group_phase::failed : group_phase::gathering;
    view.message = !over           ? with_time_left(missing, record.since, now, limit)
                   : record.served ? fmt::format("group {} waits for {}", view.name, missing)
                                   : fmt::format("group {} did not come up in {} s: {} missing", view.name,
                                                 file_.startup_timeout_s, missing);
    return;
  }
  if (auto unequal = unequal_memory(chosen); !unequal.empty()) {
    view.phase = group_phase::failed;
    view.message = unequal;
    return;
  }
  if (!await_old_members(view, record, now)) return;
  begin_epoch(view, record, chosen, now);
}

void membership::begin_epoch(group_view& view, group_record& record, const placement& chosen, time_point now) {
  view.epoch = next_epoch();
  view.phase = group_phase::starting;
  view.tensor = chosen.tensor;
  view.pipeline = chosen.pipeline;
  view.full = chosen.tensor == record.spec.tensor && chosen.pipeline == record.spec.pipeline;
  view.members.clear();
  for (const auto& place : chosen.places) {
    const auto* state = find_rank(place.node, to_string(place.device));
    view.members.push_back({static_cast<std::uint32_t>(view.members.size()), place.node, state->device,
                            find_node(place.node)->state.boot, state->incarnation, state->process, state->door});
  }
  view.message = "ranks join and load";
  record.since = now;
  record.full_since.reset();
  ++view_.counts.epochs;
  view_.counts.spares_used += chosen.spares_used;
  view_.counts.shrinks += view.full ? 0 : 1;
}

/// What has happened to the members of an epoch; of several things the one that explains the others.
membership::ending membership::find_loss(const group_view& view) const {
  ending found;
  auto weight = [](const ending& x) {
    if (!x.lost) return 0;
    if (x.hearsay) return 1;
    return x.cause == loss_cause::unreachable ? 2 : x.cause == loss_cause::killed ? 3 : 4;
  };
  auto note = [&](ending x) {
    if (weight(x) > weight(found)) found = std::move(x);
  };
  for (const auto& member : view.members) {
    const auto* node = find_node(member.node);
    const auto* state = find_rank(member);
    const auto who = fmt::format("rank {} on {}", member.rank, member.node);
    if (!node) {
      note({true, false, loss_cause::unreachable,
            fmt::format("node {} with rank {} is gone", member.node, member.rank)});
    } else if (node->state.boot != member.boot || !state || state->incarnation != member.incarnation) {
      // The report of its end was not heard, but the rank after it may carry the cause.
      const bool told = node->state.boot == member.boot && state && state->cause != loss_cause::none;
      const auto cause = told ? state->cause : loss_cause::killed;
      note({true, cause == loss_cause::unreachable, cause, who + " was restarted"});
    } else if (state->phase == rank_phase::failed || state->phase >= rank_phase::ended) {
      const bool hearsay = state->cause == loss_cause::unreachable;
      note({true, hearsay, std::max(state->cause, loss_cause::crashed),
            fmt::format("{} failed: {}", who, state->message)});
    }
  }
  // Whoever heard of the greater generation refuses the smaller one.
  if (generation_of(view.epoch) == lost_generation_)
    note({true, false, loss_cause::unreachable, "its epoch is older than one that was heard of"});
  // A node that was not heard of until now knows more: the topology actor before this one ended this epoch.
  if (heard_of(view.name).epoch > view.epoch)
    note({true, false, loss_cause::unreachable, "a node was told of a later epoch"});
  // That epoch was begun by a topology actor whose state was lost: only a greater one ends it.
  for (const auto& [name, node] : nodes_)
    for (const auto& state : node.state.ranks)
      if (state.group == view.name && state.epoch > view.epoch)
        note({true, false, loss_cause::unreachable,
              fmt::format("{} of node {} is in a later epoch", state.device, name)});
  return found;
}

/// True when what is known says why. A rank whose peer died often tells before the peer's node does.
bool membership::settles(const ending& why, group_record& record, time_point now) const {
  if (!why.hearsay) return true;
  if (!record.suspected) record.suspected = now;
  return now - *record.suspected >= options_.cause_wait;
}

/// The fence: from here on every message of the old epoch is stale. Its members are ended by their nodes.
void membership::end_epoch(group_view& view, group_record& record, ending why, time_point now) {
  for (const auto& member : view.members)
    record.old.push_back({member, view.epoch, view.rooted ? time_point::max() : lease_over(member.node)});
  record.waited = false;
  record.suspected.reset();
  if (why.hearsay) why.cause = loss_cause::crashed;  // nobody else has ended: its own engine it was
  view.ended.push_back({view.epoch, why.cause});
  if (view.ended.size() > epoch_ends_max) view.ended.erase(view.ended.begin());
  view.epoch = next_epoch();
  view.members.clear();
  view.rooted = false;
  view.blocks = 0;
  view.phase = group_phase::gathering;
  view.message = std::move(why.message);
  record.since = now;
  record.full_since.reset();
  ++view_.counts.ends;
}

void membership::start(group_view& view, group_record& record, time_point now) {
  if (auto why = find_loss(view); why.lost) {
    if (settles(why, record, now) && generation_wanted() == 0) end_epoch(view, record, std::move(why), now);
    return;
  }
  std::string loading;
  for (const auto& member : view.members) {
    const auto* state = find_rank(member);
    if (state->phase != rank_phase::started || state->epoch != view.epoch)
      loading += fmt::format("{}rank {}", loading.empty() ? "" : ", ", member.rank);
  }
  if (loading.empty()) return finish_start(view, record, now);
  view.message = with_time_left(loading + " to join and load", record.since, now, options_.load_timeout);
  if (now - record.since > options_.load_timeout && generation_wanted() == 0)
    end_epoch(view, record, {true, false, loss_cause::hung, loading + " did not load in time"}, now);
}

/// All ranks have started: the group takes requests, with the blocks that each of its ranks has.
void membership::finish_start(group_view& view, group_record& record, time_point now) {
  view.blocks = 0;
  for (const auto& member : view.members) {
    const auto* state = find_rank(member);
    view.blocks = view.blocks == 0 ? state->blocks : std::min(view.blocks, state->blocks);
    view.block_tokens = state->block_tokens;
  }
  view.phase = group_phase::serving;
  view.message = view.full ? std::string{}
                           : fmt::format("smaller shape: tensor {} x pipeline {} of {} x {}", view.tensor,
                                         view.pipeline, record.spec.tensor, record.spec.pipeline);
  view.rooted = is_only_on(view.members.front().node, record.spec);
  record.since = now;
  record.served = true;
}

void membership::serve(group_view& view, group_record& record, time_point now) {
  auto why = find_loss(view);
  if (!why.lost) {
    record.suspected.reset();
    return grow(view, record, now);
  }
  if (!settles(why, record, now)) return;
  if (generation_wanted() != 0) {
    view.message = why.message + "; the group cannot re-form before a generation is written down";
    return;
  }
  end_epoch(view, record, std::move(why), now);
}

}  // namespace troupe
