// SPDX-License-Identifier: Apache-2.0
#include "actors/topology.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/trace_notes.hpp"
#include "topology/epoch_number.hpp"
#include "topology/topology_change.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::uint64_t announce_every = 5;  // ticks
constexpr std::chrono::seconds write_pause{1};
constexpr std::size_t values_max = 4096;
constexpr std::size_t value_bytes_max = 64 * 1024;
constexpr std::size_t file_bytes_max = 1 << 20;

}  // namespace

topology::topology(topology_actor::impl* self, cluster_file file, membership_options options,
                   topology_surroundings surroundings)
    : self_(self),
      membership_(std::move(file), std::move(options), self->clock().now()),
      surroundings_(std::move(surroundings)) {}

topology_actor::behavior_type topology::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    for (auto node = nodes_.begin(); node != nodes_.end(); ++node) {
      if (node->second.address() != down.source) continue;
      spdlog::log(down.reason ? spdlog::level::warn : spdlog::level::info, "node-left node={} reason={}", node->first,
                  to_string(down.reason));
      membership_.lose(node->first);
      nodes_.erase(node);
      break;
    }
    advance();
  });
  take_over_drains();
  tick();
  return {
      [this](const node_reported& message) { return on_node(message); },
      [this](const renew_lease& message) { on_renew(message); },
      [this](const drain_place& message) { return on_drain(message); },
      [this](restart_rank& message) { return on_restart(message); },
      [this](const change_topology& message) { return on_change(message); },
      [this](put_value& message) { return on_put(message); },
      [this](const get_value& message) { return on_get(message); },
  };
}

caf::result<void> topology::on_node(const node_reported& message) {
  const auto& node = message.state.node;
  if (auto refusal = membership_.observe(message.state, self_->clock().now()); !refusal.empty()) {
    advance();
    // It may be added yet.
    auto code = membership_.file().find_node(node) ? errc::incompatible : errc::not_ready;
    return make_failure(code, refusal);
  }
  advance();
  if (auto refusal = membership_.refusal(node); !refusal.empty()) return make_failure(errc::incompatible, refusal);
  if (auto known = nodes_.find(node); known == nodes_.end() || known->second != message.self) {
    self_->monitor(message.self);
    nodes_[node] = message.self;
    spdlog::info("node-present node={} version={} model={:016x}", node, message.state.version,
                 message.state.model_hash);
    self_->send(message.self, membership_.view());
  }
  if (message.state.fingerprint != membership_.view().fingerprint)
    self_->send(message.self, topology_changed{changed_text_});
  return caf::unit;
}

void topology::on_renew(const renew_lease& message) {
  auto node = nodes_.find(message.node);
  if (node == nodes_.end() || !membership_.grant_lease(message.node, message.boot, self_->clock().now())) return;
  self_->send(node->second, lease_renewed{message.sequence, membership_.view().revision});
}

caf::result<void> topology::on_drain(const drain_place& message) {
  auto now = self_->clock().now();
  if (auto refusal = membership_.drain(message.name, message.undo, now); !refusal.empty())
    return make_failure(errc::invalid_request, refusal);
  try {
    if (surroundings_.store) surroundings_.store->store_drained(membership_.drained());
  } catch (const std::runtime_error& error) {
    membership_.drain(message.name, !message.undo, now);
    advance();
    return make_failure(errc::not_ready,
                        fmt::format("it would be forgotten when the first node starts again: {}", error.what()));
  }
  spdlog::info("{} name={}", message.undo ? "drain-undone" : "drain-begun", message.name);
  advance();
  return caf::unit;
}

caf::result<void> topology::on_restart(restart_rank& message) {
  auto node = nodes_.find(message.place.substr(0, message.place.find('/')));
  if (node == nodes_.end())
    return make_failure(errc::invalid_request,
                        fmt::format("'{}' is no place of a node that is there; give NODE/DEVICE:INDEX", message.place));
  return self_->delegate(node->second, std::move(message));
}

caf::result<void> topology::on_change(const change_topology& message) {
  const auto& file = membership_.file();
  try {
    if (message.text.size() > file_bytes_max)
      throw std::invalid_argument("the topology file is larger than 1 MiB; a topology file is at most 1 MiB");
    auto changed = parse_cluster_file(message.text, file.path, {file.insecure});
    if (auto error = find_change_error(file, changed, message.kind); !error.empty()) throw std::invalid_argument(error);
    if (surroundings_.check) surroundings_.check(changed);
    spdlog::info("topology-changes nodes={} groups={} spares={}", changed.nodes.size(), changed.groups.size(),
                 changed.spares.size());
    membership_.change(std::move(changed), self_->clock().now());
  } catch (const std::exception& error) {
    return make_failure(errc::invalid_request, error.what());
  }
  changed_text_ = message.text;
  for (const auto& [known, node] : nodes_)
    self_->send(node, topology_changed{changed_text_});
  advance();
  return caf::unit;
}

/// No epoch is begun before its generation would survive a loss of power.
void topology::write_generation() {
  auto wanted = membership_.generation_wanted();
  auto now = self_->clock().now();
  if (wanted == 0 || now < next_write_) return;
  bool first = true;
  try {
    if (surroundings_.store) {
      auto last = surroundings_.store->load();
      first = last == 0;
      wanted = std::max(wanted, last + 1);
      surroundings_.store->store(wanted);
    }
    spdlog::info("generation-begins generation={}", wanted);
    membership_.use_generation(wanted, first);
  } catch (const std::runtime_error& error) {
    next_write_ = now + write_pause;
    auto alarm = fmt::format("groups that serve go on and none re-forms: {}", error.what());
    if (alarm != membership_.view().alarm) spdlog::error("generation-not-written reason=\"{}\"", error.what());
    membership_.miss_generation(std::move(alarm));
  }
}

/// What an operator took out of use stays so when the first node, or this actor, starts again.
void topology::take_over_drains() {
  if (!surroundings_.store) return;
  try {
    membership_.take_over_drains(surroundings_.store->load_drained());
    for (const auto& place : membership_.drained())
      spdlog::info("drain-taken-over name={}", place);
  } catch (const std::runtime_error& error) {
    spdlog::error("drains-not-read reason=\"{}\"", error.what());
  }
}

void topology::advance() {
  write_generation();
  auto before = membership_.view();
  if (!membership_.advance(self_->clock().now())) return;
  log_changes(before);
  announce();
}

void topology::log_changes(const cluster_view& before) const {
  for (const auto& is : membership_.view().groups) {
    auto was = std::find_if(before.groups.begin(), before.groups.end(),
                            [&](const group_view& x) { return x.name == is.name; });
    const bool fresh = was == before.groups.end();
    note_change(surroundings_.trace, fresh ? group_view{} : *was, is);
    if (fresh || was->phase != is.phase || was->epoch != is.epoch)
      spdlog::info("group-{} group={} epoch={} tensor={} pipeline={} message=\"{}\"", to_string(is.phase), is.name,
                   epoch_text(is.epoch), is.tensor, is.pipeline, is.message);
    else if (was->message != is.message && is.phase != group_phase::serving)
      spdlog::info("group-waits group={} epoch={} message=\"{}\"", is.name, epoch_text(is.epoch), is.message);
  }
}

void topology::announce() {
  for (const auto& [known, node] : nodes_)
    self_->send(node, membership_.view());
}

void topology::tick() {
  advance();
  if (++ticks_ % announce_every == 0) announce();
  self_->run_delayed(tick_interval, [this] { tick(); });
}

caf::result<void> topology::on_put(put_value& message) {
  if (message.value.size() > value_bytes_max)
    return make_failure(errc::invalid_request,
                        fmt::format("a value of {} bytes exceeds {}", message.value.size(), value_bytes_max));
  if (values_.size() >= values_max) values_.erase(values_.begin());  // keys start with the epoch: the oldest goes
  auto waiting = waiting_.extract(message.key);
  if (waiting)
    for (auto& promise : waiting.mapped())
      promise.deliver(message.value);
  values_[message.key] = std::move(message.value);
  return caf::unit;
}

caf::result<std::string> topology::on_get(const get_value& message) {
  if (auto found = values_.find(message.key); found != values_.end()) return found->second;
  if (waiting_.size() >= values_max) return make_failure(errc::queue_full, "too many values are waited for");
  auto promise = self_->make_response_promise<std::string>();
  waiting_[message.key].push_back(promise);
  return promise;
}

}  // namespace troupe
