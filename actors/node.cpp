// SPDX-License-Identifier: Apache-2.0
#include "actors/node.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace troupe {
namespace {

constexpr std::chrono::milliseconds connect_timeout{5000};
constexpr std::chrono::milliseconds topology_timeout{5000};
constexpr std::chrono::seconds refusal_patience{3};  // a node that died just now may still count as running
constexpr std::uint64_t report_every = 5;            // ticks: what is announced on change is announced again

}  // namespace

node::node(node_actor::impl* self, cluster_file file, node_options options, std::shared_ptr<rank_launcher> launcher,
           router_actor router)
    : self_(self),
      file_(std::move(file)),
      options_(std::move(options)),
      places_(options_.name, options_.boot, std::move(launcher), options_.trace),
      router_(std::move(router)) {
  places_.list(file_);
}

node_actor::behavior_type node::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  if (options_.services)
    for (const auto& service : options_.services->all())
      self_->monitor(service);
  self_->attach_functor([traces = options_.traces, faults = options_.faults] {
    caf::anon_send_exit(traces, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(faults, caf::exit_reason::user_shutdown);
  });
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    if (!replace_service(down)) on_down(down);
  });
  return {
      [this](const begin& message) { on_begin(message); },
      [this](rank_reported& message) { on_rank(message); },
      [this](const rank_exited& message) { on_exit(message); },
      [this](cluster_view& view) { on_view(view); },
      [this](const lease_renewed& message) { on_lease(message); },
      [this](const topology_changed& message) { on_change(message); },
      [this](drain_place& message) { return pass_on<void>(message); },
      [this](restart_rank& message) { return on_restart(message); },
      [this](change_topology& message) { return pass_on<void>(message); },
      [this](find_router) { return router_; },
      [this](find_topology) { return on_find_topology(); },
      [this](put_value& message) { return pass_on<void>(message); },
      [this](get_value& message) { return pass_on<std::string>(message); },
      [this](get_status) { return on_status(); },
      [this](const get_group_statistics& message) { return on_group_status(message); },
      [this](const probe_node& message) { return on_probe(message); },
      [this](echo& message) { return on_echo(message); },
      [this](get_trace& message) { return on_trace(message); },
      [this](read_clock) {
        return clock_reading{options_.name, machine_identity(), steady_now_ns()};
      },
      [this](find_nodes) { return on_find_nodes(); },
      [this](inject& message) { return on_inject(message); },
      [this](rank_injector_ready& message) -> caf::result<void> {
        if (!options_.faults) return faults_refused();
        return self_->delegate(options_.faults, std::move(message));
      },
      [this](list_faults message) -> caf::result<fault_list> {
        if (!options_.faults) return faults_refused();
        return self_->delegate(options_.faults, message);
      },
      [this](clear_faults message) -> caf::result<void> {
        if (!options_.faults) return faults_refused();
        return self_->delegate(options_.faults, message);
      },
      [this](drain) { return on_drain(); },
  };
}

void node::on_down(const caf::down_msg& down) {
  if (topology_ && down.source == topology_.address()) {
    spdlog::warn("topology-lost reason={}", to_string(down.reason));
    first_node_lost_ = down.reason == caf::exit_reason::remote_link_unreachable;
    topology_ = nullptr;  // what is leased goes on; asked for again with the next tick
    lease_.forget_asked();
    return;
  }
  if (std::erase_if(leaders_,
                    [&](const auto& l) { return l.second.handle && l.second.handle.address() == down.source; }) > 0)
    tell_router();
  places_.end_silent(down.source, down.reason);
}

void node::on_begin(const begin& message) {
  begun_ = self_->clock().now();
  if (message.topology) use_topology(message.topology);
  tick();
}

void node::use_topology(topology_actor handle) {
  topology_ = std::move(handle);
  first_node_lost_ = false;
  unreachable_.clear();
  view_.revision = 0;  // another one may count from the beginning
  self_->monitor(topology_);
  report();
}

void node::on_rank(rank_reported& message) {
  auto handle = message.self;
  const auto* changed = places_.take_report(message, self_->clock().now(), [&] { self_->monitor(handle); });
  if (!changed) return;
  report();
  places_.end_outdated(view_);
  tell_ranks();
}

/// The end is told first, so that its cause is known before the place's next rank is.
void node::on_exit(const rank_exited& message) {
  auto now = self_->clock().now();
  if (!places_.take_exit(message, now) || draining_) return;
  report();
  places_.start_due(caf::actor_cast<node_actor>(self_), now);
}

/// What a topology actor said before it ended may arrive after the next one was found.
bool node::is_current(const cluster_view& view) const {
  const auto sender = self_->current_sender();
  return topology_ && sender && sender->address() == topology_.address() && view.revision >= view_.revision;
}

/// The view is the whole truth: ranks of an older epoch are ended, ended ranks are started again, the others are told.
void node::on_view(cluster_view& view) {
  for (const auto& group : view.groups) {
    auto& heard = heard_[group.name];
    heard = {group.name, std::max(heard.epoch, group.epoch), heard.served || group.served};
  }
  if (!is_current(view)) return;
  const bool news = view.revision != view_.revision;
  const bool listed =
      std::any_of(view.nodes.begin(), view.nodes.end(), [this](const node_view& x) { return x.name == options_.name; });
  view_ = std::move(view);
  places_.end_outdated(view_);
  if (!draining_) places_.start_due(caf::actor_cast<node_actor>(self_), self_->clock().now());
  if (!listed && !draining_) {
    spdlog::info("node-removed node={}", options_.name);
    on_drain();
  }
  tell_ranks();
  tell_router();
  if (news) ask_loads();
  stop_if_hopeless();
}

/// A lease is for those who act on the view that it was granted with.
void node::on_lease(const lease_renewed& message) {
  if (message.revision > view_.revision) return;
  lease_.grant(message.sequence);
  if (!leased_) tell_router();
  tell_leases();
}

void node::on_change(const topology_changed& message) {
  try {
    auto file = parse_cluster_file(message.text, file_.path, {file_.insecure});
    if (file.fingerprint == file_.fingerprint) return;
    spdlog::info("topology-changed nodes={} groups={} spares={}", file.nodes.size(), file.groups.size(),
                 file.spares.size());
    file_ = std::move(file);
  } catch (const cluster_file_error& error) {
    spdlog::error("topology-change-refused reason=\"{}\"", error.what());
    return;
  }
  places_.list(file_);
  report();
  places_.end_outdated(view_);
  if (!draining_) places_.start_due(caf::actor_cast<node_actor>(self_), self_->clock().now());
}

caf::result<void> node::on_restart(restart_rank& message) {
  if (!message.place.starts_with(options_.name + "/")) return pass_on<void>(message);
  if (!places_.forgive(message.place.substr(options_.name.size() + 1)))
    return make_failure(errc::invalid_request, fmt::format("there is no place '{}'", message.place));
  places_.start_due(caf::actor_cast<node_actor>(self_), self_->clock().now());
  report();
  return caf::unit;
}

template <class Result, class Message>
caf::result<Result> node::pass_on(Message& message) {
  if (!topology_) return make_failure(errc::not_ready, "the topology actor is not reached");
  return self_->delegate(topology_, std::move(message));
}

/// One of this process's own actors has ended: a new one takes its place, and those who used it are told.
bool node::replace_service(const caf::down_msg& down) {
  if (!options_.services) return false;
  auto [service, actor] = options_.services->replace(down.source, self_->clock().now());
  if (service.empty()) return false;
  spdlog::error("service-lost service={} reason=\"{}\"", service, to_string(down.reason));
  if (!actor) {
    self_->quit(
        make_failure(errc::not_ready, fmt::format("the {} of node {} ended more than {} times in {} s; last: {}",
                                                  service, options_.name, local_services::replacements_max,
                                                  local_services::replacement_window.count(), to_string(down.reason))));
    return true;
  }
  self_->monitor(actor);
  router_ = options_.services->router();
  if (auto topology = options_.services->topology(); topology && topology != topology_) {
    lease_.forget_asked();
    use_topology(std::move(topology));
  }
  self_->send(router_, options_.services->text());
  tell_router();
  report();
  return true;
}

void node::find_topology_actor() {
  if (connecting_) return;
  connecting_ = true;
  auto failed = [this](const caf::error& reason) {
    connecting_ = false;
    const auto& first = file_.nodes.front();
    auto why = to_string(reason);
    if (why != std::exchange(unreachable_, why))
      spdlog::warn("topology-unreachable node={} door={} reason=\"{}\"", first.name, to_string(first.cluster), why);
  };
  const auto& door = file_.nodes.front().cluster;
  connect<node_actor>(
      self_, options_.network, {door.host, door.port}, connect_timeout,
      [this, failed](node_actor first_node) {
        self_->request(first_node, connect_timeout, find_topology{})
            .then(
                [this](topology_actor handle) {
                  connecting_ = false;
                  use_topology(std::move(handle));
                },
                failed);
      },
      failed);
}

void node::ask_lease() {
  if (!topology_) return find_topology_actor();
  self_->send(topology_, renew_lease{options_.name, options_.boot, lease_.ask(self_->clock().now())});
}

/// While something is drained, the topology actor has to know how many requests it still has.
void node::ask_loads() {
  auto draining = [](const auto& x) { return x.draining; };
  if (std::none_of(view_.groups.begin(), view_.groups.end(), draining) &&
      std::none_of(view_.nodes.begin(), view_.nodes.end(), draining))
    return;
  self_->request(router_, topology_timeout, get_status{})
      .then(
          [this, revision = view_.revision](router_status& status) {
            loads_ = std::move(status.loads);
            loads_revision_ = revision;
            report();
          },
          [](const caf::error&) {});
}

void node::report() {
  if (!topology_) return find_topology_actor();
  node_state state;
  state.cluster = file_.cluster;
  state.node = options_.name;
  state.boot = options_.boot;
  state.version = options_.version;
  state.fingerprint = file_.fingerprint;
  state.model_hash = options_.model_hash;
  state.draining = draining_;
  state.revision = loads_revision_;
  for (const auto& [group, heard] : heard_)
    state.heard.push_back(heard);
  state.ranks = places_.states();
  state.loads = loads_;
  self_->request(topology_, topology_timeout, node_reported{std::move(state), caf::actor_cast<node_actor>(self_)})
      .then(
          [this] {
            refusal_.clear();
            if (!std::exchange(taken_, true)) ask_lease();
          },
          [this](const caf::error& reason) {
            if (auto why = describe(reason); why != refusal_) {
              spdlog::error("node-refused node={} reason=\"{}\"", options_.name, why);
              refusal_ = why;
            }
            const bool for_long = self_->clock().now() - begun_ > refusal_patience;
            if (reason == errc::incompatible && !taken_ && for_long) self_->quit(reason);
          });
}

void node::tick() {
  auto now = self_->clock().now();
  ask_lease();
  if (leased_ && !lease_.held(now)) {
    spdlog::warn("lease-over node={}", options_.name);
    tell_router();
  }
  if (!draining_ && view_.revision != 0) places_.start_due(caf::actor_cast<node_actor>(self_), now);
  if (++ticks_ % report_every == 0) {
    report();
    ask_loads();
    tell_ranks();
    tell_router();
  }
  if (!taken_ && now - begun_ > std::chrono::seconds(file_.startup_timeout_s))
    self_->quit(make_failure(errc::not_ready,
                             refusal_.empty() ? fmt::format("node {} with the topology actor did not answer in {} s",
                                                            file_.nodes.front().name, file_.startup_timeout_s)
                                              : refusal_));
  self_->run_delayed(options_.lease_interval, [this] { tick(); });
}

/// A group that never came up is an error of the start, and the program says so and ends.
void node::stop_if_hopeless() {
  auto failed = [](const group_view& group) { return group.phase == group_phase::failed && !group.served; };
  if (view_.groups.empty() || !std::all_of(view_.groups.begin(), view_.groups.end(), failed)) return;
  self_->quit(make_failure(errc::not_ready, view_.groups.front().message));
}

caf::result<void> node::on_drain() {
  if (!draining_) spdlog::info("node-drains node={}", options_.name);
  draining_ = true;
  auto promise = self_->make_response_promise<void>();
  self_
      ->request(router_, caf::infinite, drain{})  // bounded: every request has a deadline
      .then(
          [this, promise]() mutable {
            places_.end_all();
            promise.deliver();
            self_->quit();
          },
          [promise](const caf::error& reason) mutable { promise.deliver(reason); });
  return promise;
}

}  // namespace troupe
