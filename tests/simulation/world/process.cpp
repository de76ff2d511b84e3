// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world/process.hpp"

#include <algorithm>
#include <utility>

#include <caf/binary_deserializer.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/scoped_execution_unit.hpp>

#include "actors/system_config.hpp"
#include "tests/simulation/world/network.hpp"
#include "tests/simulation/world/network_door.hpp"
#include "tests/simulation/world/simulated_proxy.hpp"

/// CAF lets only a middleman name its node. The simulated network is the middleman here, so it takes the name of the
/// one that CAF 0.18 declares and does not have.
class caf::net::middleman {
 public:
  static void name_node(actor_system& system, node_id node, std::size_t first_actor) {
    system.node_ = std::move(node);
    system.ids_ = first_actor;
  }
};

namespace troupe::simulation {
namespace {

/// Actor ids are unequal over all processes, so that no order of handles depends on what node ids happen to be.
constexpr std::uint32_t ids_per_process = 512;

/// The actor behind a job, if it is one. By the job's own word: a dynamic_cast for every message costs 5 % of a run.
caf::scheduled_actor* actor_of(caf::resumable* job) {
  return job->subtype() == caf::resumable::scheduled_actor ? static_cast<caf::scheduled_actor*>(job) : nullptr;
}

caf::actor_system_config& shared_config() {
  static system_config config{{.network = false, .threads = 0}};
  static bool set = (config.set("caf.scheduler.policy", "testing"), true);
  (void)set;
  return config;
}

}  // namespace

void exit_now(const caf::strong_actor_ptr& actor, caf::error reason) {
  if (!actor) return;
  actor->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                 caf::make_message(caf::exit_msg{actor->address(), std::move(reason)}), nullptr);
}

process::process(std::uint32_t id, std::string name, std::string host, network& wires, instant now)
    : id_(id),
      name_(std::move(name)),
      host_(std::move(host)),
      wires_(wires),
      system_(std::make_unique<caf::actor_system>(shared_config())),
      coordinator_(&dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler())),
      proxies_(std::make_unique<caf::proxy_registry>(*system_, *this)) {
  caf::hashed_node_id::host_id_type host_bytes{};
  host_bytes.back() = 1;
  node_ = caf::make_node_id(id_, host_bytes);
  caf::net::middleman::name_node(*system_, node_, id_ * ids_per_process);
  coordinator_->clock().current_time = now;
  door_ = make_network_door(*this, wires_);
}

process::~process() { end(); }

std::uint32_t process::id_of(const caf::node_id& node) {
  const auto* name = node ? caf::get_if<caf::hashed_node_id>(&node->content) : nullptr;
  return name == nullptr ? 0 : name->process_id;
}

void process::note(caf::resumable* job) {
  auto* actor = actor_of(job);
  if (actor == nullptr) return;
  if (seen_.empty() || seen_.find(actor->id()) == seen_.end())
    seen_.emplace(actor->id(), caf::weak_actor_ptr{actor->ctrl()});
}

caf::actor_id process::run(std::size_t index) {
  auto& jobs = coordinator_->jobs;
  std::swap(jobs.front(), jobs[index]);
  auto* actor = actor_of(jobs.front());
  auto ran = actor == nullptr ? 0 : actor->id();
  note(jobs.front());
  coordinator_->try_run_once();
  return ran;
}

instant process::next_timer() const {
  const auto& schedule = coordinator_->clock().schedule;
  return frozen_ || schedule.empty() ? instant::max() : schedule.begin()->first;
}

void process::advance_to(instant now) {
  auto& clock = coordinator_->clock();
  if (now > clock.current_time || next_timer() <= now) clock.advance_time(std::max(now - clock.current_time, span{}));
}

void process::thaw(instant now) {
  frozen_ = false;
  advance_to(now);
}

void process::end() {
  if (!alive()) return;
  wires_.mute(*this);
  door_ = nullptr;
  roots_.clear();
  for (auto* job : coordinator_->jobs)
    note(job);
  auto& clock = coordinator_->clock();
  auto exit_all = [this] {
    for (auto& [id, actor] : seen_)
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(actor)) exit_now(strong, caf::exit_reason::kill);
  };
  // Ending one may spawn or drop others; a few rounds reach them all.
  for (int round = 0; round < 8 && (round == 0 || system_->registry().running() > 0); ++round) {
    exit_all();
    proxies_->clear();
    while (!coordinator_->jobs.empty()) {
      note(coordinator_->jobs.front());
      coordinator_->try_run_once();
    }
    clock.schedule.clear();
  }
  seen_.clear();
  proxies_->clear();
  coordinator_ = nullptr;
  // An actor that cannot be ended would let the system wait for ever: better leak it and have it counted.
  if (system_->registry().running() > 0) {
    ++wires_.leaked_systems;
    (void)proxies_.release();
    (void)system_.release();
    return;
  }
  proxies_.reset();
  system_.reset();
}

void process::receive(const frame& message) {
  caf::scoped_execution_unit unit{system_.get()};
  unit.proxy_registry_ptr(proxies_.get());
  caf::binary_deserializer source{&unit, message.payload};
  caf::message payload;
  if (!source.apply(payload)) {
    wires_.complain("a message could not be read: " + to_string(source.get_error()));
    return;
  }
  caf::strong_actor_ptr sender;
  if (message.sender != 0) sender = proxies_->get_or_put(message.sender_node, message.sender);
  auto target = system_->registry().get<caf::strong_actor_ptr>(message.target);
  wires_.tell_delivered(*this, message, payload);
  if (!target) {
    caf::detail::sync_request_bouncer bounce{caf::exit_reason::remote_link_unreachable};
    bounce(sender, caf::make_message_id(message.message_id));
    return;
  }
  target->enqueue(
      caf::make_mailbox_element(std::move(sender), caf::make_message_id(message.message_id), {}, std::move(payload)),
      nullptr);
}

caf::strong_actor_ptr process::make_proxy(caf::node_id node, caf::actor_id actor) {
  if (!wires_.connected(*this, node)) return nullptr;  // a handle of a third process: nobody here may use one
  caf::actor_config config;
  auto proxy =
      caf::make_actor<simulated_proxy, caf::strong_actor_ptr>(actor, node, system_.get(), config, *this, wires_);
  wires_.watch(*this, node, actor);
  return proxy;
}

bool process::kill_actor(caf::actor_id id) {
  auto found = seen_.find(id);
  if (found == seen_.end()) return false;
  auto actor = caf::actor_cast<caf::strong_actor_ptr>(found->second);
  if (!actor) return false;
  exit_now(actor, caf::exit_reason::kill);
  return true;
}

std::vector<std::pair<caf::actor_id, std::string>> process::actors() const {
  std::vector<std::pair<caf::actor_id, std::string>> result;
  for (const auto& [id, weak] : seen_) {
    auto actor = caf::actor_cast<caf::strong_actor_ptr>(weak);
    if (!actor) continue;
    auto* local = dynamic_cast<caf::local_actor*>(actor->get());
    if (local != nullptr && !local->getf(caf::abstract_actor::is_terminated_flag))
      result.emplace_back(id, local->name());
  }
  return result;
}

}  // namespace troupe::simulation
