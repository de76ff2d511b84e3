// SPDX-License-Identifier: Apache-2.0
#include "actors/topology.hpp"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/trace_notes.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds tick_interval{500};
constexpr std::size_t values_max = 4096;
constexpr std::size_t value_bytes_max = 64 * 1024;

}  // namespace

topology::topology(topology_actor::impl* self, cluster_file file, membership_options options, tracer trace)
    : self_(self),
      file_(file),
      membership_(std::move(file), std::move(options), self->clock().now()),
      trace_(std::move(trace)) {}

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
  tick();
  return {
      [this](const node_reported& message) { return on_node(message); },
      [this](put_value& message) { return on_put(message); },
      [this](const get_value& message) { return on_get(message); },
  };
}

caf::result<void> topology::on_node(const node_reported& message) {
  const auto& node = message.state.node;
  if (auto refusal = membership_.observe(message.state, self_->clock().now()); !refusal.empty()) {
    advance();
    return make_failure(errc::incompatible, refusal);
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
  return caf::unit;
}

void topology::advance() {
  auto before = membership_.view();
  if (!membership_.advance(self_->clock().now())) return;
  const auto& view = membership_.view();
  for (std::size_t i = 0; i < view.groups.size(); ++i) {
    const auto &was = before.groups[i], &is = view.groups[i];
    note_change(trace_, was, is);
    if (was.phase != is.phase || was.epoch != is.epoch)
      spdlog::info("group-{} group={} epoch={} message=\"{}\"", to_string(is.phase), is.name, is.epoch, is.message);
    else if (was.message != is.message && is.phase != group_phase::serving)
      spdlog::info("group-waits group={} epoch={} message=\"{}\"", is.name, is.epoch, is.message);
  }
  announce();
}

void topology::announce() {
  for (const auto& [known, node] : nodes_)
    self_->send(node, membership_.view());
}

void topology::tick() {
  advance();
  announce();
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
