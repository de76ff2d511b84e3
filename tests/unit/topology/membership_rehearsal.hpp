// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "topology/epoch_number.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// A cluster of nodes that a test plays by hand, and a clock that it moves: what its nodes would report, and what
/// their ranks would do when they are told the view.
struct membership_rehearsal {
  explicit membership_rehearsal(cluster_file with = two_nodes(), membership_options options = usual())
      : file(std::move(with)), decisions(file, std::move(options), now) {
    for (const auto& node : file.nodes)
      nodes[node.name] = make_node(file, node.name);
  }

  /// Group g0 of two ranks, one on each of two nodes.
  static cluster_file two_nodes() {
    cluster_file file;
    file.cluster = "test";
    file.fingerprint = 7;
    file.nodes = {{"a", {"127.0.0.1", 1}, std::nullopt, {}}, {"b", {"127.0.0.1", 2}, std::nullopt, {}}};
    group_spec group;
    group.name = "g0";
    group.tensor = 2;
    group.ranks = {{"a", {}}, {"b", {}}};
    file.groups.push_back(group);
    file.startup_timeout_s = 10;
    return file;
  }

  static membership_options usual() {
    membership_options options;
    options.version = "1";
    options.generation = 5;
    options.shape = {8, 8, 4, 64};
    return options;
  }

  static node_state make_node(const cluster_file& file, const std::string& name) {
    node_state node;
    node.cluster = file.cluster;
    node.node = name;
    node.boot = 1;
    node.version = "1";
    node.fingerprint = file.fingerprint;
    auto add = [&](const rank_place& place) {
      if (place.node != name) return;
      rank_state state;
      state.node = name;
      state.device = to_string(place.device);
      state.incarnation = 1;
      state.phase = rank_phase::present;
      state.free_memory_bytes = 8ULL << 30;
      node.ranks.push_back(state);
    };
    for (const auto& group : file.groups)
      std::for_each(group.ranks.begin(), group.ranks.end(), add);
    std::for_each(file.spares.begin(), file.spares.end(), add);
    return node;
  }

  const group_view& group(std::size_t index = 0) const { return decisions.view().groups.at(index); }
  const membership_counts& counts() const { return decisions.view().counts; }

  rank_state& rank(const std::string& node, const std::string& device = "cpu:0") {
    auto& ranks = nodes.at(node).ranks;
    return *std::find_if(ranks.begin(), ranks.end(), [&](const rank_state& x) { return x.device == device; });
  }

  /// The living nodes report and renew their leases.
  void hear() {
    for (auto& [name, node] : nodes) {
      if (silent.count(name) > 0) continue;
      decisions.observe(node, now);
      decisions.grant_lease(name, node.boot, now);
    }
    decisions.advance(now);
  }

  /// What ranks and nodes do with the view: members load, ranks of an epoch that is over are ended and started again.
  void follow() {
    for (auto& [name, node] : nodes) {
      if (silent.count(name) > 0) continue;
      for (auto& state : node.ranks)
        follow(name, state);
    }
  }

  /// Until nothing changes: reports, view, reports.
  void settle() {
    for (int round = 0; round < 10; ++round) {
      hear();
      follow();
    }
    hear();
  }

  void pass(std::chrono::milliseconds span) {
    for (auto passed = std::chrono::milliseconds(0); passed < span; passed += std::chrono::milliseconds(100)) {
      now += std::chrono::milliseconds(100);
      hear();
      follow();
    }
  }

  static void start_again(rank_state& state) {
    auto fresh = rank_state{};
    fresh.node = state.node;
    fresh.device = state.device;
    fresh.incarnation = state.incarnation + 1;
    fresh.phase = rank_phase::present;
    fresh.free_memory_bytes = state.free_memory_bytes;
    state = fresh;
  }

  membership::time_point now{};
  cluster_file file;
  membership decisions;
  std::map<std::string, node_state> nodes;
  std::map<std::string, bool> silent;  ///< nodes that are not heard of
  std::uint32_t blocks = 100;

 private:
  void follow(const std::string& node, rank_state& state) {
    for (const auto& view : decisions.view().groups) {
      const auto* member = view.find_member(node, state.device);
      if (state.epoch != 0 && state.group == view.name && view.epoch > state.epoch && state.phase <= rank_phase::failed)
        start_again(state);
      if (!member || member->incarnation != state.incarnation || state.phase != rank_phase::present) continue;
      state.phase = rank_phase::started;
      state.epoch = view.epoch;
      state.group = view.name;
      state.rank = member->rank;
      state.tensor = view.tensor;
      state.pipeline = view.pipeline;
      state.blocks = blocks;
      state.block_tokens = 16;
    }
  }
};

}  // namespace troupe
