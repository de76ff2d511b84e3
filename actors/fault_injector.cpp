// SPDX-License-Identifier: Apache-2.0
#include "actors/fault_injector.hpp"

#include <algorithm>
#include <csignal>
#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace troupe {
namespace {

constexpr std::chrono::milliseconds cut_interval{50};
constexpr std::chrono::milliseconds answer_time{50};  // for the answer to leave a node that is about to stop
constexpr std::chrono::hours endless{24};
constexpr std::chrono::milliseconds list_timeout{1000};
constexpr std::size_t pending_max = 1000;

std::chrono::milliseconds span_of(const fault& x) {
  return x.for_ms == 0 ? std::chrono::milliseconds(endless) : std::chrono::milliseconds(x.for_ms);
}

const group_member* find_member(const cluster_view& view, const fault_target& target) {
  for (const auto& group : view.groups)
    if (group.name == target.group)
      for (const auto& member : group.members)
        if (member.rank == target.rank) return &member;
  return nullptr;
}

}  // namespace

fault_injector::fault_injector(fault_injector_actor::impl* self, fault_injector_options options)
    : self_(self), options_(std::move(options)) {}

fault_injector_actor::behavior_type fault_injector::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {
      [this](inject_here& message) { return on_inject(message); },
      [this](const rank_injector_ready& message) { on_ready(message); },
      [this](list_faults) { return on_list(); },
      [this](clear_faults) { on_clear(); },
  };
}

/// A rank may be another one than in its epoch before.
void fault_injector::on_ready(const rank_injector_ready& message) {
  const rank_key key{message.group, message.rank};
  const bool known = std::any_of(ranks_.begin(), ranks_.end(), [&](const auto& x) {
    return x.first == key && x.second.injector == message.injector;
  });
  std::erase_if(ranks_, [&](const auto& x) { return x.second.injector == message.injector; });
  ranks_[key] = {message.process, message.injector};
  if (known) return;
  for (const auto& what : poisons_)
    if (what.target.group == message.group && what.target.rank == message.rank)
      self_->send(message.injector, inject{what});
}

caf::result<std::uint64_t> fault_injector::on_inject(inject_here& message) {
  auto& what = message.what;
  if (auto problem = problem_with(what); !problem.empty()) return make_failure(errc::invalid_request, problem);
  if (auto problem = find_problem(what, message.view); !problem.empty())
    return make_failure(errc::invalid_request, problem);
  if (pending_.size() + poisons_.size() >= pending_max)
    return make_failure(errc::queue_full, "a thousand faults wait already");
  what.id = next_++;
  if (what.after_ms == 0) {
    begin(what, message.view);
    return what.id;
  }
  pending_[what.id] = what;
  self_->run_delayed(std::chrono::milliseconds(what.after_ms), [this, id = what.id, view = std::move(message.view)] {
    if (auto due = pending_.extract(id)) begin(due.mapped(), view);
  });
  return what.id;
}

/// What this node cannot break, in a sentence that says who can.
std::string fault_injector::find_problem(const fault& what, const cluster_view& view) const {
  const auto& target = what.target;
  if (is_of_rank(target.role)) {
    const auto* member = find_member(view, target);
    if (!member)
      return fmt::format("there is no rank {}/{} now; `troupe status` lists them", target.group, target.rank);
    if (member->node != options_.node)
      return fmt::format("rank {}/{} is on node {}; ask that node", target.group, target.rank, member->node);
    if (ranks_.count({target.group, target.rank}) == 0)
      return fmt::format("rank {}/{} has not started yet", target.group, target.rank);
    return {};
  }
  if (!target.node.empty() && target.node != options_.node)
    return fmt::format("this is node {}; ask node {}", options_.node, target.node);
  if (what.kind == fault_kind::drop && options_.first)
    return fmt::format("the other nodes connect to node {}, not it to them; drop at one of those", options_.node);
  if (target.role == fault_role::node)
    return options_.actions.kill_self ? "" : "the node is no process of its own here";
  if (!options_.find_actor || !options_.find_actor(target.role))
    return fmt::format("node {} runs no {}", options_.node, to_string(target.role));
  return {};
}

void fault_injector::begin(const fault& what, const cluster_view& view) {
  spdlog::warn("fault-injected id={} fault=\"{}\"", what.id, to_string(what));
  options_.trace({.count = static_cast<std::uint32_t>(what.id),
                  .group = options_.trace.name(what.target.group),
                  .rank = is_of_rank(what.target.role) ? static_cast<std::uint16_t>(what.target.rank) : trace_none,
                  .hop = trace_hop::fault_injected,
                  .code = static_cast<std::uint8_t>(what.kind)});
  if (is_of_rank(what.target.role)) return break_rank(what);
  if (what.target.role == fault_role::node) return break_node(what, view);
  if (auto actor = options_.find_actor(what.target.role)) caf::anon_send_exit(actor, caf::exit_reason::kill);
}

void fault_injector::break_node(const fault& what, const cluster_view& view) {
  if (what.kind == fault_kind::kill || what.kind == fault_kind::freeze) {
    self_->run_delayed(answer_time, [this, what] {
      if (what.kind == fault_kind::kill) return options_.actions.kill_self();
      options_.actions.freeze_self(span_of(what));
    });
    return;
  }
  auto ports = options_.node_ports;
  for (const auto& group : view.groups)
    for (const auto& member : group.members)
      if (member.node != options_.node && member.door.port != 0) ports.insert(member.door.port);
  pending_[what.id] = what;
  self_->run_delayed(span_of(what), [this, id = what.id] { pending_.erase(id); });
  cut(ports, self_->clock().now() + span_of(what), round_);
}

void fault_injector::break_rank(const fault& what) {
  auto found = ranks_.find({what.target.group, what.target.rank});
  if (found == ranks_.end()) return;
  const auto& [process, injector] = found->second;
  const bool own_process = process != static_cast<std::uint64_t>(getpid()) && options_.actions.signal_child;
  if (own_process && !is_for_engine(what)) {
    if (what.kind == fault_kind::kill) {
      options_.actions.signal_child(process, SIGKILL);
      return;
    }
    if (what.kind == fault_kind::freeze) return freeze_rank(what, process);
  }
  if (what.token >= 0) poisons_.push_back(what);
  self_->send(injector, inject{what});
}

void fault_injector::freeze_rank(const fault& what, std::uint64_t process) {
  options_.actions.signal_child(process, SIGSTOP);
  pending_[what.id] = what;
  self_->run_delayed(span_of(what), [this, id = what.id, process] {
    if (pending_.erase(id) > 0) options_.actions.signal_child(process, SIGCONT);
  });
}

void fault_injector::cut(const std::set<std::uint16_t>& ports, caf::actor_clock::time_point end, std::uint64_t round) {
  if (!options_.actions.cut || round != round_ || self_->clock().now() >= end) return;
  options_.actions.cut(ports, 0);
  self_->run_delayed(cut_interval, [this, ports, end, round] { cut(ports, end, round); });
}

caf::result<fault_list> fault_injector::on_list() {
  auto promise = self_->make_response_promise<fault_list>();
  auto list = std::make_shared<fault_list>();
  for (const auto& [id, what] : pending_)
    list->faults.push_back(to_string(what));
  auto left = std::make_shared<std::size_t>(ranks_.size() + 1);
  auto one_less = [promise, list, left]() mutable {
    if (--*left == 0) promise.deliver(std::move(*list));
  };
  for (const auto& [key, rank] : ranks_)
    self_->request(rank.injector, list_timeout, list_faults{})
        .then(
            [list, one_less](fault_list& more) mutable {
              list->faults.insert(list->faults.end(), more.faults.begin(), more.faults.end());
              one_less();
            },
            [one_less](const caf::error&) mutable { one_less(); });  // a rank that is gone has no faults
  one_less();
  return promise;
}

void fault_injector::on_clear() {
  ++round_;
  pending_.clear();
  poisons_.clear();
  for (const auto& [key, rank] : ranks_) {
    self_->send(rank.injector, clear_faults{});
    if (options_.actions.signal_child) options_.actions.signal_child(rank.process, SIGCONT);
  }
}

}  // namespace troupe
