// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "topology/epoch_number.hpp"
#include "topology/membership.hpp"

namespace troupe {
namespace {

/// Clocks of two machines may run unequally fast, and an answer may have been under way.
constexpr std::chrono::milliseconds lease_slack{100};
constexpr std::chrono::milliseconds lease_bound(std::chrono::milliseconds lease) {
  return lease + lease / 20 + lease_slack;
}

}  // namespace

std::string membership::observe(const node_state& state, time_point now) {
  // A node that was removed from the file is listed for as long as a group uses it.
  auto listed =
      std::any_of(view_.nodes.begin(), view_.nodes.end(), [&](const auto& n) { return n.name == state.node; });
  std::string refusal;
  if (state.cluster != file_.cluster)
    refusal =
        fmt::format("node {} belongs to cluster {}, this is cluster {}", state.node, state.cluster, file_.cluster);
  else if (!listed)
    refusal = fmt::format("node {} is not in the topology file", state.node);
  else if (state.version != options_.version)
    refusal = fmt::format("node {} runs version {}, the topology actor runs {}; install the same on all nodes",
                          state.node, state.version, options_.version);
  else if (state.fingerprint != file_.fingerprint && former_.count(state.fingerprint) == 0)
    refusal =
        fmt::format("node {} was started with another topology file; copy the same file to all nodes", state.node);
  if (!listed) return refusal;
  if (auto known = nodes_.find(state.node); known != nodes_.end() && known->second.refusal.empty() && refusal.empty()) {
    const auto& before = known->second;
    if (before.state.boot != state.boot && now - before.seen < options_.node_timeout)
      return fmt::format("node {} is already running; stop the other one first", state.node);
  }
  if (state.cluster == file_.cluster) {
    for (const auto& heard : state.heard)
      heard_ = std::max(heard_, heard.epoch);
    for (const auto& rank : state.ranks)
      heard_ = std::max(heard_, rank.epoch);
  }
  nodes_[state.node] = {state, now, refusal};
  return refusal;
}

std::string membership::refusal(const std::string& node) const {
  auto known = nodes_.find(node);
  return known == nodes_.end() ? std::string{} : known->second.refusal;
}

bool membership::grant_lease(const std::string& node, std::uint64_t boot, time_point now) {
  auto known = nodes_.find(node);
  if (known == nodes_.end() || !known->second.refusal.empty() || known->second.state.boot != boot) return false;
  known->second.seen = now;
  granted_[node] = now;
  return true;
}

void membership::lose(const std::string& node) { nodes_.erase(node); }

/// When the last lease that was granted to a node is over for certain. What an earlier topology actor granted counts
/// as granted when this one began.
membership::time_point membership::lease_over(const std::string& node) const {
  auto granted = granted_.find(node);
  return (granted == granted_.end() ? begun_ : granted->second) + lease_bound(options_.lease);
}

bool membership::is_gone(const leaving_member& old, time_point now) const {
  if (now >= old.lease_over) return true;
  const auto* node = find_node(old.member.node);
  if (!node) return false;
  if (node->state.boot != old.member.boot) return true;  // its ranks died with it
  const auto* state = find_rank(old.member);
  return !state || state->incarnation != old.member.incarnation || state->phase >= rank_phase::ended;
}

const membership::known_node* membership::find_node(const std::string& name) const {
  auto known = nodes_.find(name);
  return known == nodes_.end() || !known->second.refusal.empty() ? nullptr : &known->second;
}

const rank_state* membership::find_rank(const std::string& node, const std::string& device) const {
  const auto* known = find_node(node);
  if (!known) return nullptr;
  for (const auto& state : known->state.ranks)
    if (state.device == device) return &state;
  return nullptr;
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
  std::erase_if(view_.nodes, [this](const node_view& node) { return has_left(node.name); });
  for (auto& node : view_.nodes) {
    auto known = nodes_.find(node.name);
    node.present = known != nodes_.end() && known->second.refusal.empty();
    node.draining = is_drained(node.name);
    if (known != nodes_.end())
      node.message = !node.present ? known->second.refusal : node.draining ? describe_drain(node.name) : std::string{};
    else if (node.message.empty() || node.draining)
      node.message = "lost";
    refresh_places(node);
  }
}

void membership::refresh_places(node_view& node) const {
  node.places.clear();
  auto add = [&](const rank_place& place, bool spare) {
    if (place.node != node.name) return;
    place_view shown{to_string(place.device), spare, rank_phase::ended, {}};
    if (const auto* state = find_rank(node.name, shown.device)) {
      shown.phase = state->phase;
      if (state->phase >= rank_phase::failed) shown.message = state->message;
    }
    node.places.push_back(std::move(shown));
  };
  for (const auto& group : file_.groups)
    for (const auto& place : group.ranks)
      add(place, false);
  for (const auto& place : file_.spares)
    add(place, true);
}

/// What all nodes together have been told of a group.
heard_epoch membership::heard_of(const std::string& group) const {
  heard_epoch all{group, 0, false};
  for (const auto& [name, node] : nodes_)
    for (const auto& heard : node.state.heard)
      if (heard.group == group) {
        all.epoch = std::max(all.epoch, heard.epoch);
        all.served = all.served || heard.served;
      }
  return all;
}

std::uint64_t membership::load_of(const std::string& group) const {
  std::uint64_t live = 0;
  for (const auto& [name, node] : nodes_)
    for (const auto& load : node.state.loads)
      if (load.group == group) live += load.live;
  return live;
}

bool membership::all_have_seen(std::uint64_t revision) const {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
    return !node.second.refusal.empty() || node.second.state.revision >= revision;
  });
}

}  // namespace troupe
