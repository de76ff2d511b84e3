// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "topology/fence.hpp"
#include "topology/membership.hpp"

namespace troupe {

bool membership::uses_drained_node(const group_view& view) const {
  return std::any_of(view.members.begin(), view.members.end(),
                     [this](const group_member& member) { return is_drained(member.node); });
}

bool membership::another_serves(const group_view& view) const {
  return std::any_of(view_.groups.begin(), view_.groups.end(), [&](const group_view& other) {
    return other.name != view.name && other.phase == group_phase::serving && !other.draining;
  });
}

/// Takes a group out of use step by step: no new requests, then those it has end or move, then its epoch ends.
/// True when there is nothing else to be done with it now.
bool membership::drain_group(group_view& view, group_record& record, time_point now) {
  const bool out = record.leaves || record.drained;
  const bool moves = !out && uses_drained_node(view);
  if (!out && !moves) {
    view.draining = false;
    record.drain_since.reset();
    if (view.phase != group_phase::drained) return false;
    view.phase = group_phase::gathering;  // taken back into use
    record.since = now;
    return false;
  }
  if (view.phase != group_phase::serving) {
    if (!out) return false;
    if (view.phase == group_phase::starting) end_epoch(view, record, {true, false, loss_cause::none, "drained"}, now);
    std::erase_if(record.old, [&](const auto& old) { return is_gone(old, now); });
    view.phase = group_phase::drained;
    view.draining = true;
    view.message = record.leaves ? "leaves the cluster" : "drained";
    return true;
  }
  if (!record.drain_since) {
    record.drain_since = now;
    record.drain_revision = 0;
  }
  // With nowhere else to go, waiting would only keep new requests out: they all move at once.
  const bool elsewhere = another_serves(view);
  view.draining = out || elsewhere;
  const auto live = load_of(view.name);
  const bool empty = record.drain_revision != 0 && all_have_seen(record.drain_revision) && live == 0;
  const bool over = now - *record.drain_since >= options_.drain_limit;
  if (find_loss(view).lost) return false;  // it ends anyway
  if (!empty && !over && (out || elsewhere)) {
    view.message = fmt::format("draining: {} requests", live);
    return true;
  }
  record.drain_since.reset();
  end_epoch(view, record,
            {true, false, loss_cause::none, out ? "drained" : "moves away from a node that is being drained"}, now);
  return false;
}

std::string membership::drain(const std::string& node_or_group, bool undo, time_point now) {
  if (auto group = groups_.find(node_or_group); group != groups_.end()) {
    group->second.drained = !undo;
    group->second.drain_since.reset();
    advance(now);
    return {};
  }
  if (!file_.find_node(node_or_group))
    return fmt::format("there is no node and no group '{}' in the topology file", node_or_group);
  if (undo) {
    drained_nodes_.erase(node_or_group);
    return {};
  }
  drained_nodes_.insert(node_or_group);
  for (const auto& view : view_.groups) {
    if (!uses_drained_node(view) || another_serves(view)) continue;
    const auto& record = groups_[view.name];
    auto choice = choose(view, record);
    choice.spares_for_coming = true;
    choice.shrink = record.spec.shrink;
    if (!place_group(record.spec, choice).places.empty()) continue;
    drained_nodes_.erase(node_or_group);
    return fmt::format(
        "group {} would have no place to go and no other group serves; give it spares or shrink: true, add a group, or "
        "stop the node with SIGTERM",
        view.name);
  }
  return {};
}

std::vector<std::string> membership::drained() const {
  std::vector<std::string> names;
  for (const auto& name : drained_nodes_)
    if (file_.find_node(name)) names.push_back(name);  // one that leaves is in no file any more
  for (const auto& [name, record] : groups_)
    if (record.drained && !record.leaves) names.push_back(name);
  return names;
}

void membership::take_over_drains(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (auto group = groups_.find(name); group != groups_.end())
      group->second.drained = true;
    else if (file_.find_node(name))
      drained_nodes_.insert(name);
  }
}

/// What a drained node is still used for, in words.
std::string membership::describe_drain(const std::string& node) const {
  std::string users;
  for (const auto& view : view_.groups)
    if (std::any_of(view.members.begin(), view.members.end(), [&](const auto& m) { return m.node == node; }))
      users += (users.empty() ? "" : ", ") + view.name;
  std::uint64_t live = 0;
  if (auto known = nodes_.find(node); known != nodes_.end())
    for (const auto& load : known->second.state.loads)
      live += load.live;
  if (users.empty() && live == 0) return "drained: nothing runs there";
  return fmt::format("draining: {} requests of its clients{}", live,
                     users.empty() ? "" : ", and the ranks of " + users);
}

/// A node that was removed from the file and that no group uses any more.
bool membership::has_left(const std::string& node) const {
  if (file_.find_node(node)) return false;
  return std::none_of(view_.groups.begin(), view_.groups.end(), [&](const group_view& view) {
    const auto& old = groups_.at(view.name).old;
    return std::any_of(view.members.begin(), view.members.end(), [&](const auto& m) { return m.node == node; }) ||
           std::any_of(old.begin(), old.end(), [&](const auto& x) { return x.member.node == node; });
  });
}

void membership::change(cluster_file file, time_point now) {
  former_.insert(file_.fingerprint);
  former_.erase(file.fingerprint);
  file_ = std::move(file);
  view_.fingerprint = file_.fingerprint;
  auto listed = [](const auto& list, const std::string& name) {
    return std::any_of(list.begin(), list.end(), [&](const auto& x) { return x.name == name; });
  };
  for (const auto& node : view_.nodes)
    if (!listed(file_.nodes, node.name)) drained_nodes_.insert(node.name);
  for (const auto& node : file_.nodes)
    if (!listed(view_.nodes, node.name)) view_.nodes.push_back({node.name, false, false, "not heard of yet", {}});
  for (auto& [name, record] : groups_)
    record.leaves = !listed(file_.groups, name);
  for (const auto& group : file_.groups) {
    if (listed(view_.groups, group.name)) continue;
    group_view view;
    view.name = group.name;
    view.cluster = cluster_id(file_);
    view.tensor = group.tensor;
    view.pipeline = group.pipeline;
    view_.groups.push_back(std::move(view));
    groups_[group.name] = {.spec = group, .since = now, .old = {}, .full_since = {}};
  }
}

}  // namespace troupe
