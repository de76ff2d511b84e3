// SPDX-License-Identifier: Apache-2.0
#include "actors/fault_injection.hpp"

#include <utility>

#include "actors/ask.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds answer_timeout{5'000};
constexpr std::chrono::milliseconds reach_timeout{2'000};

}  // namespace

std::uint64_t fault_injection::kill(fault_target who, fault_moment when) {
  return inject(fault_kind::kill, std::move(who), when, {});
}

std::uint64_t fault_injection::freeze(fault_target who, std::chrono::milliseconds span, fault_moment when) {
  return inject(fault_kind::freeze, std::move(who), when, span);
}

std::uint64_t fault_injection::drop(fault_target who, std::chrono::milliseconds span, fault_moment when) {
  return inject(fault_kind::drop, std::move(who), when, span);
}

std::uint64_t fault_injection::wrong_token(fault_target who, fault_moment when) {
  return inject(fault_kind::wrong_token, std::move(who), when, {});
}

std::uint64_t fault_injection::hang(fault_target who, std::chrono::milliseconds span, fault_moment when) {
  return inject(fault_kind::hang, std::move(who), when, span);
}

std::uint64_t fault_injection::slow(fault_target who, double factor, std::chrono::milliseconds delay,
                                    fault_moment when) {
  fault what;
  what.kind = fault_kind::slow;
  what.target = std::move(who);
  what.at_step = when.at_step;
  what.after_tokens = when.after_tokens;
  what.after_ms = static_cast<std::uint64_t>(when.after.count());
  what.factor = factor;
  what.delay_ms = static_cast<std::uint64_t>(delay.count());
  return inject(what);
}

std::uint64_t fault_injection::inject(fault_kind kind, fault_target who, fault_moment when,
                                      std::chrono::milliseconds span) {
  fault what;
  what.kind = kind;
  what.target = std::move(who);
  what.at_step = when.at_step;
  what.after_tokens = when.after_tokens;
  what.after_ms = static_cast<std::uint64_t>(when.after.count());
  what.for_ms = static_cast<std::uint64_t>(span.count());
  return inject(what);
}

std::uint64_t fault_injection::inject(const fault& what) {
  if (auto problem = problem_with(what); !problem.empty()) throw client_error("invalid_request", problem);
  return ask<std::uint64_t>(*system_, node_of(what.target), answer_timeout, troupe::inject{what});
}

/// The node that runs the target; the entry when nobody knows, whose error then says what is wrong.
node_actor fault_injection::node_of(const fault_target& who) {
  auto name = who.node;
  if (is_of_rank(who.role))
    for (const auto& group : entry_.status().view.groups)
      if (group.name == who.group)
        for (const auto& member : group.members)
          if (member.rank == who.rank) name = member.node;
  auto known = ask<known_nodes>(*system_, entry_.node(), answer_timeout, find_nodes{});
  if (name.empty() || name == known.self) return entry_.node();
  for (const auto& node : known.nodes)
    if (node.name == name) return client::connect(*system_, node.door.host, node.door.port, reach_timeout).node();
  return entry_.node();
}

std::vector<node_actor> fault_injection::all_nodes() {
  std::vector<node_actor> nodes{entry_.node()};
  auto known = ask<known_nodes>(*system_, entry_.node(), answer_timeout, find_nodes{});
  for (const auto& node : known.nodes) {
    if (node.name == known.self) continue;
    try {
      nodes.push_back(client::connect(*system_, node.door.host, node.door.port, reach_timeout).node());
    } catch (const client_error&) {
      continue;  // it is down: nothing of it can be listed or cleared
    }
  }
  return nodes;
}

std::vector<std::string> fault_injection::list() {
  std::vector<std::string> all;
  for (const auto& node : all_nodes()) {
    auto more = ask<fault_list>(*system_, node, answer_timeout, list_faults{});
    all.insert(all.end(), more.faults.begin(), more.faults.end());
  }
  return all;
}

void fault_injection::clear() {
  for (const auto& node : all_nodes())
    tell(*system_, node, answer_timeout, clear_faults{});
}

}  // namespace troupe
