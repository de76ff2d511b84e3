// SPDX-License-Identifier: Apache-2.0
#include "topology/membership.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace troupe {
namespace {

using seconds = std::chrono::duration<double>;

std::string with_time_left(const std::string& what, membership::time_point since, membership::time_point now,
                           seconds limit) {
  return fmt::format("waiting for {} ({:.0f} s of {:.0f} s)", what, seconds(now - since).count(), limit.count());
}

}  // namespace

std::string to_string(rank_phase x) {
  constexpr const char* names[] = {"launching", "present", "starting", "started", "failed"};
  return names[static_cast<int>(x)];
}

std::string to_string(group_phase x) {
  constexpr const char* names[] = {"gathering", "starting", "serving", "failed"};
  return names[static_cast<int>(x)];
}

std::string to_string(loss_cause x) {
  constexpr const char* names[] = {"none", "crashed", "hung", "killed", "unreachable"};
  return names[static_cast<int>(x)];
}

membership::membership(cluster_file file, membership_options options, time_point now)
    : file_(std::move(file)), options_(std::move(options)) {
  view_.cluster = file_.cluster;
  for (const auto& node : file_.nodes)
    view_.nodes.push_back({node.name, false, "not heard of yet"});
  for (const auto& group : file_.groups) {
    group_view view;
    view.name = group.name;
    view_.groups.push_back(std::move(view));
    groups_[group.name] = {now, 0};
  }
}

std::string membership::observe(const node_state& state, time_point now) {
  auto listed =
      std::any_of(file_.nodes.begin(), file_.nodes.end(), [&](const auto& n) { return n.name == state.node; });
  std::string refusal;
  if (state.cluster != file_.cluster)
    refusal =
        fmt::format("node {} belongs to cluster {}, this is cluster {}", state.node, state.cluster, file_.cluster);
  else if (!listed)
    refusal = fmt::format("node {} is not in the topology file", state.node);
  else if (state.version != options_.version)
    refusal = fmt::format("node {} runs version {}, the topology actor runs {}; install the same on all nodes",
                          state.node, state.version, options_.version);
  else if (state.fingerprint != options_.fingerprint)
    refusal =
        fmt::format("node {} was started with another topology file; copy the same file to all nodes", state.node);
  if (!listed) return refusal;
  if (auto known = nodes_.find(state.node); known != nodes_.end() && known->second.refusal.empty() && refusal.empty()) {
    const auto& before = known->second;
    if (before.state.boot != state.boot && now - before.seen < options_.node_timeout)
      return fmt::format("node {} is already running; stop the other one first", state.node);
  }
  nodes_[state.node] = {state, now, refusal};
  return refusal;
}

std::string membership::refusal(const std::string& node) const {
  auto known = nodes_.find(node);
  return known == nodes_.end() ? std::string{} : known->second.refusal;
}

void membership::lose(const std::string& node) { nodes_.erase(node); }

bool membership::advance(time_point now) {
  auto before_nodes = view_.nodes;
  auto before_groups = view_.groups;
  refresh_nodes(now);
  for (std::size_t i = 0; i < file_.groups.size(); ++i) {
    auto& view = view_.groups[i];
    auto& record = groups_[view.name];
    switch (view.phase) {
      case group_phase::gathering:
        gather(file_.groups[i], view, record, now);
        break;
      case group_phase::starting:
        start(file_.groups[i], view, record, now);
        break;
      case group_phase::serving:
        serve(file_.groups[i], view, record, now);
        break;
      case group_phase::failed:
        break;
    }
  }
  if (before_nodes == view_.nodes && before_groups == view_.groups) return false;
  ++view_.revision;
  return true;
}

void membership::refresh_nodes(time_point now) {
  std::erase_if(nodes_, [&](const auto& node) { return now - node.second.seen > options_.node_timeout; });
  const known_node* first = nullptr;
  for (const auto& node : file_.nodes) {
    auto known = nodes_.find(node.name);
    if (known == nodes_.end() || !known->second.refusal.empty()) continue;
    if (!first) first = &known->second;
    if (known->second.state.model_hash != first->state.model_hash)
      known->second.refusal = fmt::format("node {} has another model than node {}; copy the same model folder to both",
                                          node.name, first->state.node);
  }
  for (auto& node : view_.nodes) {
    auto known = nodes_.find(node.name);
    node.present = known != nodes_.end() && known->second.refusal.empty();
    if (known != nodes_.end())
      node.message = known->second.refusal;
    else if (node.message.empty())
      node.message = "lost";
  }
}

const rank_state* membership::find_rank(const group_spec& group, std::uint32_t rank) const {
  auto known = nodes_.find(group.ranks[rank].node);
  if (known == nodes_.end() || !known->second.refusal.empty()) return nullptr;
  for (const auto& state : known->second.state.ranks)
    if (state.group == group.name && state.rank == rank) return &state;
  return nullptr;
}

std::string membership::missing_members(const group_spec& group) const {
  std::string missing;
  for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
    const auto* state = find_rank(group, rank);
    if (state && state->phase == rank_phase::present) continue;
    auto refused = nodes_.find(group.ranks[rank].node);
    auto why =
        refused != nodes_.end() && !refused->second.refusal.empty() ? ": " + refused->second.refusal : std::string{};
    missing += fmt::format("{}{}/rank {}{}", missing.empty() ? "" : ", ", group.ranks[rank].node, rank, why);
  }
  return missing;
}

std::string membership::unequal_memory(const group_spec& group) const {
  const rank_state *least = nullptr, *most = nullptr;
  for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
    const auto* state = find_rank(group, rank);
    if (!least || state->free_memory_bytes < least->free_memory_bytes) least = state;
    if (!most || state->free_memory_bytes > most->free_memory_bytes) most = state;
  }
  auto spread = most->free_memory_bytes - least->free_memory_bytes;
  if (spread <= file_.engine.free_memory_spread_bytes) return {};
  constexpr double mib = 1024.0 * 1024.0;
  return fmt::format(
      "free memory differs by {:.0f} MiB between rank {} ({:.0f} MiB) and rank {} ({:.0f} MiB), more than the "
      "free_memory_spread of {:.0f} MiB; end what uses memory on {} or raise the bound",
      static_cast<double>(spread) / mib, least->rank, static_cast<double>(least->free_memory_bytes) / mib, most->rank,
      static_cast<double>(most->free_memory_bytes) / mib,
      static_cast<double>(file_.engine.free_memory_spread_bytes) / mib, group.ranks[least->rank].node);
}

/// A topology actor that was started again finds groups that serve: all ranks started, in one epoch. They go on in it.
bool membership::adopt(const group_spec& group, group_view& view, group_record& record, time_point now) {
  if (view.epoch != 0) return false;
  std::uint64_t epoch = 0;
  bool served = false, whole = true;
  for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
    const auto* state = find_rank(group, rank);
    served = served || (state && state->epoch != 0);
    whole = whole && state && state->phase == rank_phase::started && (epoch == 0 || state->epoch == epoch);
    if (state) epoch = state->epoch;
  }
  if (!served) return false;
  if (whole) {
    view.epoch = epoch;
    set_members(group, view);
    finish_start(group, view, record, now);
    return true;
  }
  // Not whole any more: a greater epoch ends what is left of the old one.
  if (now - record.since > options_.adoption_grace) view.epoch = options_.generation << 32U;
  return false;
}

void membership::set_members(const group_spec& group, group_view& view) const {
  view.members.clear();
  for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
    const auto* state = find_rank(group, rank);
    const auto& place = group.ranks[rank];
    view.members.push_back(
        {rank, place.node, to_string(place.device), state->incarnation, state->process, state->door});
  }
}

/// All ranks have started: the group takes requests, with the blocks that each of its ranks has.
void membership::finish_start(const group_spec& group, group_view& view, group_record& record, time_point now) {
  view.blocks = 0;
  for (const auto& member : view.members) {
    const auto* state = find_rank(group, member.rank);
    view.blocks = view.blocks == 0 ? state->blocks : std::min(view.blocks, state->blocks);
    view.block_tokens = state->block_tokens;
  }
  view.phase = group_phase::serving;
  view.message.clear();
  record.since = now;
}

void membership::gather(const group_spec& group, group_view& view, group_record& record, time_point now) {
  if (adopt(group, view, record, now)) return;
  auto limit = std::chrono::seconds(file_.startup_timeout_s);
  if (auto missing = missing_members(group); !missing.empty()) {
    view.message = with_time_left(missing, record.since, now, limit);
    if (now - record.since < limit) return;
    view.phase = group_phase::failed;
    view.message =
        fmt::format("group {} did not come up in {} s: {} missing", view.name, file_.startup_timeout_s, missing);
    return;
  }
  if (auto unequal = unequal_memory(group); !unequal.empty()) {
    view.phase = group_phase::failed;
    view.message = unequal;
    return;
  }
  view.epoch = options_.generation << 32U | ++epochs_;
  view.phase = group_phase::starting;
  set_members(group, view);
  view.message = "ranks join and load";
  record.since = now;
}

membership::loss membership::lost_member(const group_spec& group, const group_view& view) const {
  for (const auto& member : view.members) {
    const auto* state = find_rank(group, member.rank);
    if (!state) return {loss_cause::unreachable, fmt::format("node {} with rank {} is gone", member.node, member.rank)};
    if (state->incarnation != member.incarnation)
      return {loss_cause::killed, fmt::format("rank {} on {} was restarted", member.rank, member.node)};
    if (state->phase == rank_phase::failed)
      return {std::max(state->cause, loss_cause::crashed),
              fmt::format("rank {} on {} failed: {}", member.rank, member.node, state->message)};
  }
  return {};
}

void membership::fence(group_view& view, group_record& record, loss why, time_point now) {
  view.ended.push_back({view.epoch, why.cause});
  if (view.ended.size() > epoch_ends_max) view.ended.erase(view.ended.begin());
  view.epoch = options_.generation << 32U | ++epochs_;
  view.members.clear();
  view.blocks = 0;
  view.phase = group_phase::gathering;
  view.message = std::move(why.message);
  record.since = now;
  if (++record.restarts <= options_.restarts) return;
  view.phase = group_phase::failed;
  view.message = fmt::format("group {} was restarted {} times; last: {}", view.name, options_.restarts, view.message);
}

void membership::start(const group_spec& group, group_view& view, group_record& record, time_point now) {
  if (auto lost = lost_member(group, view); lost.cause != loss_cause::none) return fence(view, record, lost, now);
  std::string loading;
  for (const auto& member : view.members) {
    const auto* state = find_rank(group, member.rank);
    if (state->phase != rank_phase::started || state->epoch != view.epoch)
      loading += fmt::format("{}rank {}", loading.empty() ? "" : ", ", member.rank);
  }
  if (loading.empty()) return finish_start(group, view, record, now);
  view.message = with_time_left(loading + " to join and load", record.since, now, options_.load_timeout);
  if (now - record.since > options_.load_timeout)
    fence(view, record, {loss_cause::hung, loading + " did not load in time"}, now);
}

void membership::serve(const group_spec& group, group_view& view, group_record& record, time_point now) {
  if (auto lost = lost_member(group, view); lost.cause != loss_cause::none) return fence(view, record, lost, now);
  if (now - record.since > std::chrono::minutes(1)) record.restarts = 0;
}

}  // namespace troupe
