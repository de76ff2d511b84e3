// SPDX-License-Identifier: Apache-2.0
// What a node passes on of the cluster's view: to its ranks their epoch and lease, to its router the groups that serve.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/node.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds connect_timeout{5000};
constexpr std::chrono::milliseconds leader_pause{500};  // between attempts to reach the leader of another machine

}  // namespace

/// Each member is told of its own group; handles spare those of one process the network.
void node::tell_ranks() {
  for (const auto& group : view_.groups) {
    join_group message{group, std::vector<scheduler_rank_actor>(group.members.size()), lease_end(group)};
    std::vector<scheduler_rank_actor> own;
    for (const auto& member : group.members) {
      const auto* at = places_.find(member);
      if (!at || !at->handle) continue;
      own.push_back(at->handle);
      if (at->handle.node() == self_->node()) message.local[member.rank] = at->handle;
    }
    for (const auto& rank : own)
      self_->send(rank, message);
  }
}

void node::tell_leases() {
  for (const auto& group : view_.groups)
    for (const auto& member : group.members)
      if (const auto* at = places_.find(member); at && at->handle && at->state.epoch == group.epoch)
        self_->send(at->handle, hold_lease{epoch{group.epoch}, group.cluster, lease_end(group)});
}

/// Until when this node's ranks of a group may emit.
std::int64_t node::lease_end(const group_view& group) const {
  return to_nanoseconds(group.rooted ? caf::actor_clock::time_point::max() : lease_.until());
}

bool node::drained_in_view() const {
  return std::any_of(view_.nodes.begin(), view_.nodes.end(),
                     [this](const node_view& x) { return x.name == options_.name && x.draining; });
}

void node::tell_router() {
  serving_groups message;
  leased_ = lease_.held(self_->clock().now());
  for (const auto& group : view_.groups) {
    message.ended.insert(message.ended.end(), group.ended.begin(), group.ended.end());
    if (group.phase != group_phase::serving) {
      if (message.why.empty() && group.phase == group_phase::failed) message.why = group.message;
      continue;
    }
    const bool ours = group.members.front().node == options_.name;
    if (!leased_ && !(group.rooted && ours)) continue;
    if (auto leader = leader_of(group))
      message.groups.push_back(
          {group.name, epoch{group.epoch}, std::move(leader), ours, group.cluster, group.draining, group.full});
    else if (lost_with_first_node(group))
      message.ended.push_back({group.epoch, loss_cause::unreachable});
  }
  message.cut_off = !leased_ && message.groups.empty();
  if (message.cut_off)
    message.why = fmt::format("node {} has had no answer from the topology actor on node {} for too long",
                              options_.name, file_.nodes.front().name);
  message.draining = drained_in_view();
  self_->send(router_, std::move(message));
}

/// The whole first node is out of reach, and with it the topology actor, who else would tell that this group lost a
/// part there. That the topology actor alone has died explains no rank's end.
bool node::lost_with_first_node(const group_view& group) const {
  const auto& first = file_.nodes.front().name;
  return first_node_lost_ && std::any_of(group.members.begin(), group.members.end(),
                                         [&first](const group_member& member) { return member.node == first; });
}

/// The handle of a group's rank 0; null while it is being asked for.
scheduler_rank_actor node::leader_of(const group_view& group) {
  const auto& member = group.members.front();
  if (member.node == options_.name) {
    const auto* own = places_.find(member);
    return own ? own->handle : scheduler_rank_actor{};
  }
  auto& leader = leaders_[group.name];
  auto now = self_->clock().now();
  if (leader.epoch == group.epoch && (leader.handle || now < leader.next_attempt)) return leader.handle;
  leader = {group.epoch, {}, now + connect_timeout + leader_pause};
  connect<scheduler_rank_actor>(
      self_, options_.network, member.door, connect_timeout,
      [this, name = group.name, epoch = group.epoch](scheduler_rank_actor handle) {
        if (leaders_[name].epoch != epoch) return;
        self_->monitor(handle);
        leaders_[name].handle = std::move(handle);
        tell_router();
      },
      [this, name = group.name](const caf::error& reason) {
        spdlog::warn("leader-unreachable group={} reason=\"{}\"", name, to_string(reason));
        leaders_[name].next_attempt = self_->clock().now() + leader_pause;
      });
  return {};
}

}  // namespace troupe
