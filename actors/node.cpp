// SPDX-License-Identifier: Apache-2.0
#include "actors/node.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace troupe {
namespace {

constexpr std::chrono::milliseconds connect_timeout{5000};
constexpr std::chrono::milliseconds topology_timeout{5000};
constexpr std::chrono::seconds leader_pause{2};  // between attempts to reach the leader of another machine
constexpr std::chrono::seconds restart_window{60};
constexpr std::size_t restarts_max =
    3;  // of one rank within the window; then it stays failed until the window has passed

}  // namespace

node::node(node_actor::impl* self, cluster_file file, node_options options, std::shared_ptr<rank_launcher> launcher,
           router_actor router)
    : self_(self),
      file_(std::move(file)),
      options_(std::move(options)),
      launcher_(std::move(launcher)),
      router_(std::move(router)) {
  for (const auto& group : file_.groups)
    for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank)
      if (group.ranks[rank].node == options_.name) ranks_[{group.name, rank}];
}

node_actor::behavior_type node::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    if (topology_ && down.source == topology_.address()) {
      spdlog::warn("topology-lost reason={}", to_string(down.reason));
      topology_ = nullptr;  // serving goes on; asked for again with the next report
    }
    std::erase_if(leaders_, [&](const auto& l) { return l.second.handle && l.second.handle.address() == down.source; });
    tell_router();
    for (auto& [key, rank] : ranks_) {
      if (!rank.running || !rank.handle || rank.handle.address() != down.source) continue;
      // Ended, or silent for as long as CAF waits: in either case it is of no use, and must not come back.
      spdlog::warn("rank-silent group={} rank={} incarnation={} reason=\"{}\"", key.first, key.second,
                   rank.state.incarnation, to_string(down.reason));
      launcher_->kill({key.first, key.second, rank.state.incarnation});
    }
  });
  return {
      [this](const begin& message) { on_begin(message); },
      [this](rank_reported& message) { on_rank(message); },
      [this](const rank_exited& message) { on_exit(message); },
      [this](cluster_view& view) { on_view(view); },
      [this](find_router) { return router_; },
      [this](find_topology) { return on_find_topology(); },
      [this](put_value& message) { return on_put(message); },
      [this](get_value& message) { return on_get(message); },
      [this](get_status) { return on_status(); },
      [this](const get_group_statistics& message) { return on_group_status(message); },
      [this](drain) { return on_drain(); },
  };
}

void node::on_begin(const begin& message) {
  topology_ = message.topology;
  begun_ = self_->clock().now();
  tick();
}

void node::launch(const rank_key& key) {
  auto& rank = ranks_[key];
  auto now = self_->clock().now();
  while (!rank.starts.empty() && now - rank.starts.front() > restart_window)
    rank.starts.pop_front();
  if (rank.starts.size() > restarts_max) return;  // on_view tries again when the window has moved
  rank.starts.push_back(now);
  rank.handle = nullptr;
  auto incarnation = rank.state.incarnation + 1;
  rank.state = rank_state{key.first, key.second, incarnation, rank_phase::launching, 0, {}, 0, 0, 0,
                          0,         0,          0,           loss_cause::none,      {}};
  rank.running = true;
  try {
    launcher_->launch({key.first, key.second, incarnation}, caf::actor_cast<node_actor>(self_));
    spdlog::info("rank-launched group={} rank={} incarnation={}", key.first, key.second, incarnation);
  } catch (const std::runtime_error& error) {
    rank.running = false;
    rank.state.phase = rank_phase::failed;
    rank.state.cause = loss_cause::crashed;
    rank.state.message = error.what();
    spdlog::error("rank-launch-failed group={} rank={} reason=\"{}\"", key.first, key.second, error.what());
  }
}

void node::on_rank(rank_reported& message) {
  auto found = ranks_.find({message.state.group, message.state.rank});
  if (found == ranks_.end() || found->second.state.incarnation != message.state.incarnation || !found->second.running)
    return;
  auto& rank = found->second;
  auto changed = rank.state != message.state;
  if (rank.handle != message.self) self_->monitor(message.self);
  rank.state = std::move(message.state);
  rank.handle = std::move(message.self);
  if (!changed) return;
  report();
  for (const auto& group : view_.groups)
    if (group.name == rank.state.group) tell_ranks(group);
}

void node::on_exit(const rank_exited& message) {
  auto found = ranks_.find({message.group, message.rank});
  if (found == ranks_.end() || found->second.state.incarnation != message.incarnation) return;
  auto& rank = found->second;
  rank.running = false;
  rank.handle = nullptr;
  if (draining_) return;
  spdlog::warn("rank-exited group={} rank={} incarnation={} epoch={} reason=\"{}\"", message.group, message.rank,
               message.incarnation, rank.state.epoch, message.reason);
  rank.state.phase = rank_phase::failed;
  if (rank.state.cause == loss_cause::none) rank.state.cause = message.cause;
  // What the rank said itself before it ended says more than how it ended.
  if (rank.state.message.empty()) rank.state.message = message.reason;
  report();
}

/// The view is the whole truth: ranks of an older epoch are ended, ended ranks are started again, the others are told.
void node::on_view(cluster_view& view) {
  view_ = std::move(view);
  for (const auto& group : view_.groups) {
    served_ = served_ || group.phase == group_phase::serving;
    if (!draining_) launch_if_needed(group);
    tell_ranks(group);
  }
  tell_router();
  stop_if_hopeless();
}

void node::launch_if_needed(const group_view& group) {
  if (group.phase == group_phase::failed) return;
  for (auto& [key, rank] : ranks_) {
    if (key.first != group.name) continue;
    auto outdated = rank.state.epoch != 0 && rank.state.epoch < group.epoch;
    auto useless = rank.state.phase == rank_phase::failed && group.phase == group_phase::gathering;
    if (rank.running && (outdated || useless))
      launcher_->kill({key.first, key.second, rank.state.incarnation});
    else if (!rank.running && group.phase == group_phase::gathering)
      launch(key);
  }
}

void node::tell_ranks(const group_view& group) {
  join_group message{group, std::vector<scheduler_rank_actor>(group.members.size())};
  for (const auto& member : group.members) {
    auto own = ranks_.find({group.name, member.rank});
    if (own != ranks_.end() && own->second.handle && own->second.handle.node() == self_->node())
      message.local[member.rank] = own->second.handle;
  }
  for (const auto& [key, rank] : ranks_)
    if (key.first == group.name && rank.handle) self_->send(rank.handle, message);
}

void node::tell_router() {
  serving_groups message;
  for (const auto& group : view_.groups) {
    message.ended.insert(message.ended.end(), group.ended.begin(), group.ended.end());
    if (group.phase != group_phase::serving) continue;
    if (auto leader = leader_of(group))
      message.groups.push_back(
          {group.name, epoch{group.epoch}, std::move(leader), group.members.front().node == options_.name});
  }
  message.hopeless =
      !view_.groups.empty() && std::all_of(view_.groups.begin(), view_.groups.end(),
                                           [](const auto& group) { return group.phase == group_phase::failed; });
  if (message.hopeless) message.why = view_.groups.front().message;
  self_->send(router_, std::move(message));
}

/// The handle of a group's rank 0; null while it is being asked for.
scheduler_rank_actor node::leader_of(const group_view& group) {
  const auto& member = group.members.front();
  if (member.node == options_.name) {
    auto own = ranks_.find({group.name, member.rank});
    return own == ranks_.end() ? scheduler_rank_actor{} : own->second.handle;
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

void node::find_topology_actor() {
  if (connecting_) return;
  connecting_ = true;
  const auto& first = file_.nodes.front();
  auto failed = [this, &first](const caf::error& reason) {
    connecting_ = false;
    spdlog::warn("topology-unreachable node={} door={} reason=\"{}\"", first.name, to_string(first.cluster),
                 to_string(reason));
  };
  connect<node_actor>(
      self_, options_.network, {first.cluster.host, first.cluster.port}, connect_timeout,
      [this, failed](node_actor first_node) {
        self_->request(first_node, connect_timeout, find_topology{})
            .then(
                [this](topology_actor handle) {
                  connecting_ = false;
                  topology_ = std::move(handle);
                  self_->monitor(topology_);
                  report();
                },
                failed);
      },
      failed);
}

void node::report() {
  if (!topology_) return find_topology_actor();
  node_state state{file_.cluster,     options_.name,       options_.boot, options_.version,
                   file_.fingerprint, options_.model_hash, draining_,     {}};
  for (const auto& [key, rank] : ranks_)
    state.ranks.push_back(rank.state);
  self_->request(topology_, topology_timeout, node_reported{std::move(state), caf::actor_cast<node_actor>(self_)})
      .then(
          [this] {
            refusal_.clear();
            taken_ = true;
          },
          [this](const caf::error& reason) {
            if (auto why = describe(reason); why != refusal_) {
              spdlog::error("node-refused node={} reason=\"{}\"", options_.name, why);
              refusal_ = why;
            }
            if (reason == errc::incompatible && !taken_) self_->quit(reason);
          });
}

void node::tick() {
  report();
  tell_router();
  if (!taken_ && self_->clock().now() - begun_ > std::chrono::seconds(file_.startup_timeout_s))
    self_->quit(make_failure(errc::not_ready, fmt::format("node {} with the topology actor did not answer in {} s",
                                                          file_.nodes.front().name, file_.startup_timeout_s)));
  self_->run_delayed(options_.report_interval, [this] { tick(); });
}

/// A group that never came up is an error of the start, and the program says so and ends.
void node::stop_if_hopeless() {
  if (served_ || view_.groups.empty()) return;
  auto failed = [](const group_view& group) { return group.phase == group_phase::failed; };
  if (!std::all_of(view_.groups.begin(), view_.groups.end(), failed)) return;
  self_->quit(make_failure(errc::not_ready, view_.groups.front().message));
}

caf::result<topology_actor> node::on_find_topology() const {
  if (file_.nodes.front().name == options_.name && topology_) return topology_;
  return make_failure(errc::not_ready, fmt::format("node {} does not run the topology actor, node {} does",
                                                   options_.name, file_.nodes.front().name));
}

caf::result<void> node::on_put(put_value& message) {
  if (!topology_) return make_failure(errc::not_ready, "the topology actor is not reached yet");
  return self_->delegate(topology_, std::move(message));
}

caf::result<std::string> node::on_get(get_value& message) {
  if (!topology_) return make_failure(errc::not_ready, "the topology actor is not reached yet");
  return self_->delegate(topology_, std::move(message));
}

caf::result<node_status> node::on_status() {
  auto promise = self_->make_response_promise<node_status>();
  self_->request(router_, topology_timeout, get_status{})
      .then(
          [this, promise](const router_status& router) mutable {
            promise.deliver(
                node_status{options_.name, options_.version, options_.model, options_.context_tokens, view_, router});
          },
          [promise](const caf::error& reason) mutable { promise.deliver(reason); });
  return promise;
}

caf::result<group_statistics> node::on_group_status(const get_group_statistics& message) {
  for (const auto& group : view_.groups) {
    if (group.name != message.group || group.phase != group_phase::serving) continue;
    if (auto leader = leader_of(group)) return self_->delegate(leader, get_status{});
  }
  return make_failure(errc::not_ready, fmt::format("group '{}' does not serve", message.group));
}

caf::result<void> node::on_drain() {
  if (!draining_) spdlog::info("node-drains node={}", options_.name);
  draining_ = true;
  auto promise = self_->make_response_promise<void>();
  self_
      ->request(router_, caf::infinite, drain{})  // bounded: every request has a deadline
      .then(
          [this, promise]() mutable {
            for (auto& [key, rank] : ranks_)
              if (rank.running) launcher_->kill({key.first, key.second, rank.state.incarnation});
            promise.deliver();
            self_->quit();
          },
          [promise](const caf::error& reason) mutable { promise.deliver(reason); });
  return promise;
}

}  // namespace troupe
