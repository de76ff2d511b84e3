// SPDX-License-Identifier: Apache-2.0
// What a node answers to clients, operators and other nodes.
#include <utility>

#include <fmt/format.h>

#include "actors/node.hpp"
#include "actors/peer_probe.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds status_timeout{5000};

}  // namespace

caf::result<topology_actor> node::on_find_topology() const {
  if (file_.nodes.front().name == options_.name && topology_) return topology_;
  return make_failure(errc::not_ready, fmt::format("node {} does not run the topology actor, node {} does",
                                                   options_.name, file_.nodes.front().name));
}

caf::result<node_status> node::on_status() {
  auto promise = self_->make_response_promise<node_status>();
  self_->request(router_, status_timeout, get_status{})
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

caf::result<probe_report> node::on_probe(const probe_node& message) {
  const auto* peer = file_.find_node(message.node);
  if (!peer || !options_.network)
    return make_failure(errc::invalid_request,
                        fmt::format("node {} knows no node '{}' to reach over a network", options_.name, message.node));
  peer_probe_options probing{options_.name, options_.network, {peer->cluster.host, peer->cluster.port}};
  return self_->delegate(self_->spawn<peer_probe_impl, caf::detached>(std::move(probing)), message);
}

echoed node::on_echo(echo& message) const {
  if (message.payload.size() > probe_bytes_max) message.payload.resize(probe_bytes_max);
  return {options_.name,     options_.version,    protocol_version,
          file_.fingerprint, options_.model_hash, std::move(message.payload)};
}

caf::result<trace_answer> node::on_trace(get_trace& message) {
  if (!options_.traces) return make_failure(errc::not_ready, fmt::format("node {} keeps no records", options_.name));
  return self_->delegate(options_.traces, std::move(message));
}

known_nodes node::on_find_nodes() const {
  known_nodes known{options_.name, {}};
  for (const auto& spec : file_.nodes)
    known.nodes.push_back({spec.name, {spec.cluster.host, spec.cluster.port}});
  return known;
}

caf::result<std::uint64_t> node::on_inject(inject& message) {
  if (!options_.faults) return faults_refused();
  return self_->delegate(options_.faults, inject_here{std::move(message.what), view_});
}

caf::error node::faults_refused() const {
  return make_failure(
      errc::invalid_request,
      fmt::format("node {} injects no faults: its topology file does not say allow_faults: true", options_.name));
}

}  // namespace troupe
