// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/cluster.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/detokenizer.hpp"
#include "actors/node.hpp"
#include "actors/router.hpp"
#include "actors/scheduler_rank.hpp"
#include "actors/tokenizer.hpp"
#include "actors/topology.hpp"

namespace troupe::simulation {
namespace {

constexpr std::uint16_t node_port = 4242;
constexpr std::uint32_t context_tokens = 512;

cluster_file make_file(const trial_options& options) {
  cluster_file file;
  file.cluster = "simulated";
  file.isolation = isolation_mode::process;
  file.fingerprint = 1;
  for (std::uint64_t i = 0; i < options.nodes; ++i) {
    auto name = fmt::format("{}", static_cast<char>('a' + i));
    file.nodes.push_back({name, {name, node_port}, std::nullopt, {}});
  }
  auto size = options.tensor * options.pipeline;
  std::uint64_t place = 0;
  auto next_place = [&] {
    auto at = place++;
    return rank_place{file.nodes[at % options.nodes].name,
                      {rank_device_kind::cpu, static_cast<std::uint32_t>(at / options.nodes)}};
  };
  for (std::uint64_t index = 0; index < options.groups; ++index) {
    group_spec group;
    group.name = fmt::format("g{}", index);
    group.tensor = static_cast<std::uint32_t>(options.tensor);
    group.pipeline = static_cast<std::uint32_t>(options.pipeline);
    group.shrink = options.shrink != 0;
    for (std::uint64_t rank = 0; rank < size; ++rank)
      group.ranks.push_back(next_place());
    file.groups.push_back(std::move(group));
  }
  for (std::uint64_t i = 0; i < options.spares; ++i)
    file.spares.push_back(next_place());
  return file;
}

}  // namespace

/// Starts and ends rank processes for one start of one node.
class simulated_launcher : public rank_launcher {
 public:
  simulated_launcher(cluster& owner, cluster::node_process& node, process& parent)
      : owner_(owner), node_(node), parent_(parent) {}

  void launch(const rank_start& start, const node_actor& node) override {
    if (node_.home == &parent_) owner_.launch(node_, parent_, start, node);
  }
  void kill(const rank_start& start) override {
    if (node_.home != &parent_) return;
    auto found = owner_.ranks_.find({start.device, start.incarnation, parent_.id()});
    if (found != owner_.ranks_.end()) owner_.kill_rank(found->second.public_part, loss_cause::killed);
  }

 private:
  cluster& owner_;
  cluster::node_process& node_;
  process& parent_;
};

cluster::cluster(world& where, observer& watcher, const trial_options& options)
    : world_(where),
      watcher_(watcher),
      options_(options),
      random_(options.seed, "processes"),
      file_(make_file(options)),
      meetings_(where.time()) {
  for (const auto& node : file_.nodes)
    nodes_.push_back({node.name, nullptr, 0, {}, {}});
}

void cluster::let_go() {
  for (auto& node : nodes_) {
    node.home = nullptr;
    node.node = nullptr;
  }
  ranks_.clear();
}

std::vector<cluster::rank_process*> cluster::ranks() {
  std::vector<rank_process*> result;
  for (auto& [key, rank] : ranks_)
    if (rank.public_part.home != nullptr) result.push_back(&rank.public_part);
  return result;
}

void cluster::start_node(node_process& which) {
  if (which.home != nullptr) return;
  auto& home = world_.start(fmt::format("{}#{}", which.name, ++which.starts), which.name);
  which.home = &home;
  watcher_.note(fmt::format("node {} starts", which.name));
  auto& system = home.system();
  auto services = std::make_shared<local_services>(make_services(which, home));
  for (const auto& service : services->all())
    watch_for_exceptions(service, which.name);
  node_options settings;
  settings.name = which.name;
  settings.boot = home.id();
  settings.network = home.door();
  settings.context_tokens = context_tokens;
  settings.services = services;
  which.node = system.spawn<node_impl>(file_, settings, std::make_shared<simulated_launcher>(*this, which, home),
                                       services->router());
  watch_for_exceptions(caf::actor_cast<caf::actor>(which.node), which.name);
  if (which.starts > 1 && services->topology()) watcher_.probes().hit(probe::topology_restarted);
  if (which.starts > 1) watcher_.probes().hit(probe::node_restarted);
  // `troupe node` ends when its node actor does.
  which.node->attach_functor([this, &which, &home](const caf::error& reason) {
    if (which.home != &home) return;
    watcher_.note(fmt::format("node {} ends: {}", which.name, to_string(reason)));
    world_.time().after(us(100), [this, &which, &home] {
      if (which.home == &home) kill_node(which);
    });
  });
  world_.wires().publish(home, which.name, node_port, caf::actor_cast<caf::strong_actor_ptr>(which.node),
                         system.message_types<node_actor>());
  caf::anon_send(which.node, begin{services->topology()});
}

local_service_factories cluster::make_services(node_process& which, process& home) {
  auto& system = home.system();
  local_service_factories make;
  make.make_tokenizer = [&system] { return system.spawn<tokenizer_impl>(std::make_shared<const prompt_encoder>()); };
  make.make_detokenizer = [&system] { return system.spawn<detokenizer_impl>(nullptr); };
  router_options routing;
  routing.node = which.name;
  routing.model = {"simulated", static_cast<std::int32_t>(options_.vocabulary), context_tokens};
  routing.first_request = std::uint64_t{home.id()} << 32U;
  make.make_router = [this, &system, routing](const text_actors& text) mutable {
    routing.first_request += 1U << 20U;
    auto router = system.spawn<router_impl>(text.tokenizers, text.detokenizer, routing);
    router->attach_functor([this](const caf::error&) { watcher_.probes().hit(probe::router_lost); });
    return router;
  };
  if (which.name != file_.nodes.front().name) return make;
  make.make_topology = [this, &system, &which] {
    membership_options membership;
    membership.shape = {8, 8, 8, 8};
    // Short, so that runs of seconds see them.
    membership.spare_wait = std::chrono::milliseconds(500);
    membership.shrink_wait = membership.grow_wait = std::chrono::milliseconds(1000);
    return system.spawn<topology_impl>(
        file_, std::move(membership),
        topology_surroundings{std::make_shared<simulated_generation_store>(which.disk), {}});
  };
  return make;
}

void cluster::watch_for_exceptions(const caf::actor& whom, const std::string& where) {
  whom->attach_functor([this, where](const caf::error& reason) {
    if (reason == caf::sec::runtime_error)
      watcher_.broken("exception", fmt::format("an actor of {} ended: {}", where, to_string(reason)));
  });
}

void cluster::kill_node(node_process& which) {
  if (which.home == nullptr) return;
  watcher_.note(fmt::format("node {} is killed", which.name));
  auto* home = std::exchange(which.home, nullptr);
  which.node = nullptr;
  for (auto& [key, rank] : ranks_)
    if (rank.parent == home) rank.told = nullptr;
  world_.kill(*home);
  std::vector<rank_key> orphans;
  for (auto& [key, rank] : ranks_)
    if (rank.parent == home) orphans.push_back(key);
  for (const auto& key : orphans)  // the kernel's parent-death signal
    world_.time().after(us(random_.below(2000)), [this, key] { rank_ended(key, loss_cause::killed, "parent died"); });
}

void cluster::restart_places() {
  auto restart = [](const node_process& node, const rank_place& place) {
    if (node.home != nullptr && node.home->alive() && place.node == node.name)
      caf::anon_send(node.node, restart_rank{to_string(place)});
  };
  for (const auto& node : nodes_) {
    for (const auto& group : file_.groups)
      for (const auto& place : group.ranks)
        restart(node, place);
    for (const auto& place : file_.spares)
      restart(node, place);
  }
}

void cluster::keep_nodes_up() {
  for (auto& node : nodes_)
    if (node.home == nullptr) start_node(node);
}

void cluster::launch(node_process& owner, process& parent, const rank_start& start, const node_actor& node) {
  rank_key key{start.device, start.incarnation, parent.id()};
  auto& rank = ranks_[key];
  rank.public_part = {start, owner.name, nullptr, std::make_shared<device_health>(), parent.id()};
  rank.parent = &parent;
  rank.told = node;
  world_.time().after(ms(random_.between(1, 40)), [this, key, &owner, &parent] {
    auto found = ranks_.find(key);
    if (found == ranks_.end() || !parent.alive()) return;
    const auto& [device, incarnation, unused] = key;
    for (const auto& [other, running] : ranks_)
      if (running.public_part.home != nullptr && running.public_part.node == owner.name && std::get<0>(other) == device)
        watcher_.broken("I13", fmt::format("{}/{} is started as incarnation {} while incarnation {} runs", owner.name,
                                           device, incarnation, std::get<1>(other)));
    auto& home = world_.start(fmt::format("{}/{}#{}", owner.name, device, incarnation), owner.name);
    found->second.public_part.home = &home;
    world_.wires().connect(home, owner.name, node_port, [this, key](const connect_outcome& outcome) {
      if (outcome.failure || !outcome.actor)
        rank_ended(key, loss_cause::crashed, "the node does not answer");
      else
        run_rank(key, caf::actor_cast<node_actor>(outcome.actor));
    });
  });
}

void cluster::run_rank(const rank_key& key, node_actor node) {
  auto& rank = ranks_.at(key).public_part;
  auto& home = *rank.home;
  scheduler_rank_options options;
  options.identity.node = rank.node;
  options.identity.device = rank.start.device;
  options.identity.incarnation = rank.start.incarnation;
  options.identity.process = home.id();
  options.cluster = cluster_id(file_);
  options.network = home.door();
  options.publish_at = rank.node;
  options.scheduler.context_length = context_tokens;
  options.scheduler.max_batch_tokens = batch_tokens_max;
  options.scheduler.max_sequences = sequences_max;
  options.scheduler.max_queue = options_.queue;
  options.scheduler.max_wait_ms = static_cast<std::uint32_t>(options_.max_wait_ms);
  device_options device;
  device.node = rank.node;
  device.device = rank.start.device;
  device.block_tokens = block_tokens;
  device.blocks = static_cast<std::uint32_t>(options_.blocks);
  device.vocabulary = options_.vocabulary;
  device.step = us(options_.step_us);
  device.load = ms(random_.between(1, 100));
  device.collective_timeout = std::chrono::seconds(10);
  auto spawn_engine = [this, &home, health = rank.health, device] {
    return spawn_device(home, meetings_, watcher_, health, device);
  };
  auto actor = home.system().spawn<scheduler_rank_impl>(std::move(node), std::move(options),
                                                        std::function<engine_rank_actor()>{spawn_engine});
  home.keep(caf::actor_cast<caf::actor>(actor));
  watch_for_exceptions(caf::actor_cast<caf::actor>(actor), home.name());
  actor->attach_functor([this, key](const caf::error&) {
    world_.time().after(us(100), [this, key] { rank_ended(key, loss_cause::crashed, "exited with code 1"); });
  });
}

void cluster::count_kill(const rank_process& which) {
  for (const auto& [name, group] : watcher_.groups()) {
    const auto* member = group.find_member(which.node, which.start.device);
    if (member == nullptr && group.phase != group_phase::gathering) continue;
    auto again = !group.ended.empty();
    if (group.phase == group_phase::gathering) watcher_.probes().hit(probe::kill_while_gathering);
    if (group.phase == group_phase::starting) watcher_.probes().hit(probe::kill_while_starting);
    if (group.phase != group_phase::serving && again) watcher_.probes().hit(probe::second_loss_while_reforming);
    if (group.phase != group_phase::serving) continue;
    watcher_.probes().hit(probe::kill_while_serving);
    if (member->rank == 0) watcher_.probes().hit(probe::leader_lost);
  }
}

void cluster::kill_rank(rank_process& which, loss_cause cause) {
  rank_key key{which.start.device, which.start.incarnation, which.parent};
  count_kill(which);
  auto dying = us(10);
  if (which.home != nullptr && random_.chance(0.1)) {  // in the kernel, with a device: it does nothing, and is there
    dying = ms(random_.between(1, 60));
    watcher_.probes().hit(probe::died_slowly);
    world_.freeze(*which.home, dying + ms(1));
  }
  world_.time().after(dying, [this, key, cause] { rank_ended(key, cause, "killed by signal 9 (Killed)"); });
}

/// The process is gone; its node's pidfd says so a moment later.
void cluster::rank_ended(const rank_key& key, loss_cause cause, const std::string& reason) {
  auto ended = ranks_.extract(key);
  if (!ended) return;
  auto& rank = ended.mapped();
  const auto& [device, incarnation, unused] = key;
  watcher_.note(fmt::format("rank {}/{}#{} ends: {}", rank.public_part.node, device, incarnation, reason));
  if (rank.public_part.home != nullptr) world_.kill(*rank.public_part.home);
  if (!rank.told || rank.parent == nullptr || !rank.parent->alive()) return;
  auto parent = rank.parent;
  world_.time().after(us(random_.between(50, 10000)), [parent, told = caf::actor_cast<caf::actor_addr>(rank.told),
                                                       message = rank_exited{device, incarnation, cause, reason}] {
    if (!parent->alive()) return;
    if (auto node = caf::actor_cast<node_actor>(told)) caf::anon_send(node, message);
  });
}

}  // namespace troupe::simulation
