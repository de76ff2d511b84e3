// SPDX-License-Identifier: Apache-2.0
#include "actors/rank_injector.hpp"

#include <utility>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "runtime/fault/faulty_executor.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds cut_interval{50};
constexpr std::chrono::hours endless{24};

/// What befalls the whole process when its engine says so; empty where the process is not the rank's own.
process_fault process_fault_of(const fault_actions& actions, const rank_injector_actor& injector, const tracer& trace,
                               const group_view& view, std::uint32_t rank) {
  if (!actions.kill_self) return {};
  return [=, epoch = view.epoch, group = trace.name(view.name)](const fault& what) {
    trace({.epoch = epoch,
           .group = group,
           .rank = static_cast<std::uint16_t>(rank),
           .hop = trace_hop::fault_injected,
           .code = static_cast<std::uint8_t>(what.kind)});
    if (what.kind == fault_kind::kill) actions.kill_self();
    if (what.kind == fault_kind::crash) actions.crash_self();
    if (what.kind == fault_kind::freeze) actions.freeze_self(std::chrono::milliseconds(what.for_ms));
    if (what.kind != fault_kind::drop) return;
    auto now = what;
    now.at_step = now.after_tokens = 0;
    caf::anon_send(injector, inject{now});
  };
}

}  // namespace

rank_injector::rank_injector(rank_injector_actor::impl* self, node_actor node, std::shared_ptr<fault_script> script,
                             fault_actions actions)
    : self_(self), node_(std::move(node)), script_(std::move(script)), actions_(std::move(actions)) {}

rank_injector_actor::behavior_type rank_injector::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { self_->quit(down.reason); });
  self_->monitor(node_);
  return {
      [this](const inject& message) { on_inject(message.what); },
      [this](const group_view& view) { view_ = view; },
      [this](list_faults) {
        fault_list list;
        for (const auto& what : script_->waiting())
          list.faults.push_back(to_string(what));
        return list;
      },
      [this](clear_faults) {
        ++round_;
        script_->clear();
      },
  };
}

void rank_injector::on_inject(const fault& what) {
  spdlog::warn("fault-taken fault=\"{}\"", to_string(what));
  if (what.kind != fault_kind::drop || is_for_engine(what)) return script_->add(what);
  auto lasts = what.for_ms == 0 ? std::chrono::milliseconds(endless) : std::chrono::milliseconds(what.for_ms);
  cut(self_->clock().now() + lasts, round_);
}

/// The connections to the other ranks of the group, closed as often as they are made.
void rank_injector::cut(caf::actor_clock::time_point end, std::uint64_t round) {
  if (!actions_.cut || round != round_ || self_->clock().now() >= end) return;
  std::set<std::uint16_t> peers;
  std::uint16_t own = 0;
  for (const auto& member : view_.members)
    if (member.process == static_cast<std::uint64_t>(getpid()))
      own = member.door.port;
    else if (member.door.port != 0)
      peers.insert(member.door.port);
  actions_.cut(peers, own);
  self_->run_delayed(cut_interval, [this, end, round] { cut(end, round); });
}

rank_parts with_faults(caf::actor_system& system, const node_actor& node, rank_parts parts, fault_actions actions,
                       tracer trace) {
  auto script = std::make_shared<fault_script>();
  auto injector = system.spawn<rank_injector_impl>(node, script, actions);
  parts.make_executor = [=, inner = std::move(parts.make_executor),
                         me = parts.options.identity](const group_view& view) -> std::unique_ptr<executor> {
    const auto rank = view.find_member(me.node, me.device)->rank;
    caf::anon_send(injector, view);
    caf::anon_send(node, rank_injector_ready{view.name, rank, me.process, injector});
    return std::make_unique<faulty_executor>(inner(view), script,
                                             process_fault_of(actions, injector, trace, view, rank));
  };
  return parts;
}

}  // namespace troupe
