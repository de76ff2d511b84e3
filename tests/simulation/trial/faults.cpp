// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/faults.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace troupe::simulation {

std::vector<fault> draw_faults(const trial_options& options) {
  std::vector<fault> result;
  auto copy = options;
  std::uint64_t classes = 0;
  for_each_fault(copy, [&](std::string_view name, std::uint64_t& count) {
    ++classes;
    if (name == "duplicate" || name == "poison") return;  // a rate, and a part of the workload
    random_stream random{options.seed, fmt::format("faults {}", name)};
    for (std::uint64_t i = 0; i < count; ++i) {
      fault what;
      what.number = classes * 100 + i;
      what.kind = name;
      what.when = beginning + ms(random.below(options.busy_ms));
      // Half of them are short enough to pass unnoticed, half are not.
      what.length = ms(random.chance(0.5) ? random.between(1, 450) : random.between(450, 4000));
      what.draw = random.next();
      if (what.when >= beginning + ms(options.busy())) continue;
      if (std::find(options.without.begin(), options.without.end(), what.number) == options.without.end())
        result.push_back(std::move(what));
    }
  });
  std::stable_sort(result.begin(), result.end(), [](const fault& a, const fault& b) { return a.when < b.when; });
  return result;
}

fault_injector::fault_injector(world& where, cluster& subject, observer& watcher, const trial_options& options,
                               const std::vector<process*>& clients)
    : world_(where), cluster_(subject), watcher_(watcher), options_(options), clients_(clients) {}

void fault_injector::begin() {
  for (const auto& what : draw_faults(options_))
    world_.time().at(what.when, [this, what] {
      if (!over_) inject(what);
    });
}

void fault_injector::end() {
  over_ = true;
  for (const auto& [way, count] : std::exchange(cuts_, {}))
    if (count > 0) world_.wires().set_cut(way.first, way.second, false);
  for (auto* rank : cluster_.ranks()) {
    rank->health->slower = 1;
    rank->health->failing = false;
  }
  for (auto& node : cluster_.nodes())
    node.disk.full = false;
  cluster_.keep_nodes_up();
  cluster_.restart_places();
}

process* fault_injector::pick_process(std::uint64_t draw) const {
  std::vector<process*> candidates;
  for (const auto& member : world_.processes())
    if (member->alive()) candidates.push_back(member.get());
  return candidates.empty() ? nullptr : candidates[draw % candidates.size()];
}

cluster::rank_process* fault_injector::pick_rank(std::uint64_t draw) const {
  auto ranks = cluster_.ranks();
  return ranks.empty() ? nullptr : ranks[draw % ranks.size()];
}

std::pair<std::string, std::string> fault_injector::pick_hosts(std::uint64_t draw) const {
  std::vector<std::string> hosts;
  for (const auto& node : cluster_.nodes())
    hosts.push_back(node.name);
  for (const auto* client : clients_)
    hosts.push_back(client->host());
  auto first = draw % hosts.size();
  auto second = (first + 1 + (draw >> 8U) % (hosts.size() - 1)) % hosts.size();
  return {hosts[first], hosts[second]};
}

void fault_injector::set_cut(const std::string& from, const std::string& to, bool cut) {
  if (over_) return;
  auto& count = cuts_[{from, to}];
  count += cut ? 1 : -1;
  world_.wires().set_cut(from, to, count > 0);
}

void fault_injector::cut_link(const fault& what, bool both) {
  auto [a, b] = pick_hosts(what.draw);
  watcher_.note(
      fmt::format("fault {}: link {} {} {} for {} ms", what.number, a, both ? "<->" : "->", b, what.length / ms(1)));
  set_cut(a, b, true);
  if (both) set_cut(b, a, true);
  world_.time().after(what.length, [this, a = a, b = b, both] {
    set_cut(a, b, false);
    if (both) set_cut(b, a, false);
  });
}

void fault_injector::flap_link(const fault& what) {
  random_stream random{what.draw, "flap"};
  auto [a, b] = pick_hosts(what.draw);
  watcher_.note(fmt::format("fault {}: link {} <-> {} flaps", what.number, a, b));
  span at{};
  for (auto i = random.between(2, 6); i > 0; --i) {
    auto down = ms(random.between(50, 900));
    world_.time().after(at, [this, a = a, b = b] { set_cut(a, b, true), set_cut(b, a, true); });
    world_.time().after(at + down, [this, a = a, b = b] { set_cut(a, b, false), set_cut(b, a, false); });
    at += down + ms(random.between(10, 700));
  }
}

void fault_injector::spoil_device(const fault& what) {
  auto* rank = pick_rank(what.draw);
  if (rank == nullptr) return;
  watcher_.note(fmt::format("fault {}: {} of rank {}/{}", what.number, what.kind, rank->node, rank->start.device));
  auto health = rank->health;
  if (what.kind == "hang") {
    health->hung = true;  // for good: only a new process helps
  } else if (what.kind == "engine_failure") {
    health->failing = true;
  } else {
    health->slower = 2 + what.draw % 20;
    world_.time().after(what.length, [health] { health->slower = 1; });
  }
}

/// Ends one actor as an exception in one of its handlers would.
void fault_injector::kill_one_actor(const fault& what) {
  static const std::set<std::string> mortal{"scheduler-rank", "engine-rank", "router",
                                            "tokenizer",      "detokenizer", "topology"};
  struct candidate {
    process* home;
    caf::actor_id id;
    std::string name;
  };
  std::vector<candidate> candidates;
  for (const auto& member : world_.processes()) {
    if (!member->alive() || member->host().starts_with("client")) continue;
    for (const auto& [id, name] : member->actors())
      if (mortal.count(name) > 0) candidates.push_back({member.get(), id, name});
  }
  if (candidates.empty()) return;
  const auto& [home, id, name] = candidates[what.draw % candidates.size()];
  if (!name.ends_with("-rank")) watcher_.probes().hit(probe::service_lost);
  watcher_.note(fmt::format("fault {}: {} of {} is killed", what.number, name, home->name()));
  home->kill_actor(id);
}

/// The moment that matters most to whoever comes after it is the one in which it has just decided something.
void fault_injector::kill_topology(const fault& what) {
  auto strike = [this, number = what.number] {
    for (const auto& member : world_.processes())
      for (const auto& [id, name] : member->alive() ? member->actors() : decltype(member->actors()){})
        if (name == "topology" && !over_) {
          watcher_.note(fmt::format("fault {}: topology of {} is killed", number, member->name()));
          watcher_.probes().hit(probe::service_lost);
          member->kill_actor(id);
        }
  };
  if (what.draw % 2 == 0) return strike();
  watcher_.on_epoch_end = [this, strike, draw = what.draw] { world_.time().after(us((draw >> 8U) % 2000), strike); };
}

void fault_injector::inject(const fault& what) {
  world_.mix(what.number);
  watcher_.fault_happened();
  if (what.kind == "kill_rank") {
    if (auto* rank = pick_rank(what.draw)) cluster_.kill_rank(*rank, loss_cause::killed);
  } else if (what.kind == "kill_node") {
    auto& node = cluster_.nodes()[what.draw % cluster_.nodes().size()];
    cluster_.kill_node(node);
    world_.time().after(what.length, [this, &node] { cluster_.start_node(node); });
  } else if (what.kind == "kill_client") {
    auto* client = clients_[what.draw % clients_.size()];
    if (!client->alive()) return;
    watcher_.note(fmt::format("fault {}: {} is killed", what.number, client->name()));
    world_.kill(*client);
  } else if (what.kind == "kill_actor") {
    kill_one_actor(what);
  } else if (what.kind == "kill_topology") {
    kill_topology(what);
  } else if (what.kind == "freeze") {
    auto* victim = pick_process(what.draw);
    if (victim == nullptr) return;
    watcher_.note(fmt::format("fault {}: {} is frozen for {} ms", what.number, victim->name(), what.length / ms(1)));
    if (what.length > ms(600)) watcher_.probes().hit(probe::process_thawed_late);
    world_.freeze(*victim, what.length);
  } else if (what.kind == "cut" || what.kind == "one_way") {
    cut_link(what, what.kind == "cut");
  } else if (what.kind == "flap") {
    flap_link(what);
  } else if (what.kind == "reset") {
    auto open = world_.wires().open_connections();
    if (open.empty()) return;
    auto [a, b] = open[what.draw % open.size()];
    watcher_.note(fmt::format("fault {}: connection {} - {} is reset", what.number, a->name(), b->name()));
    watcher_.probes().hit(probe::one_sided_loss);
    world_.wires().reset(*a, *b);
  } else if (what.kind == "disk_full") {
    auto& node = cluster_.nodes()[what.draw % cluster_.nodes().size()];
    node.disk.full = true;
    world_.time().after(what.length, [&node] { node.disk.full = false; });
  } else {
    spoil_device(what);
  }
}

}  // namespace troupe::simulation
