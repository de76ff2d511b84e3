// SPDX-License-Identifier: Apache-2.0
#include "tests/support/simulated_cluster.hpp"

#include <algorithm>
#include <optional>

#include "actors/detokenizer.hpp"
#include "actors/node.hpp"
#include "actors/tokenizer.hpp"
#include "actors/topology.hpp"

namespace troupe {
namespace {

cluster_file make_file(const simulated_cluster_options& options) {
  cluster_file file;
  file.cluster = "simulated";
  file.isolation = isolation_mode::thread;
  file.nodes.push_back({"a", {"127.0.0.1", 0}, std::nullopt, {}});
  for (std::uint32_t index = 0; index < options.groups; ++index) {
    group_spec group;
    group.name = std::string{"g"}.append(std::to_string(index));
    group.tensor = options.tensor;
    group.pipeline = options.pipeline;
    auto size = options.tensor * options.pipeline;
    for (std::uint32_t rank = 0; rank < size; ++rank)
      group.ranks.push_back({"a", {rank_device_kind::cpu, index * size + rank}});
    file.groups.push_back(std::move(group));
  }
  return file;
}

rank_recipe make_recipe(simulated_cluster& cluster, const simulated_cluster_options& options) {
  return [&cluster, options, file = make_file(options)](const rank_start& start, const node_actor&) {
    rank_parts parts;
    parts.detached = false;
    parts.options.identity.node = "a";
    parts.options.identity.device = start.device;
    parts.options.identity.incarnation = start.incarnation;
    parts.options.cluster = cluster_id(file);
    auto& scheduling = parts.options.scheduler;
    scheduling.context_length = options.context;
    scheduling.max_batch_tokens = 64;
    scheduling.max_queue = options.max_queue;
    scheduling.max_sequences = std::min(options.max_sequences, scheduling.max_batch_tokens);
    scheduling.max_wait_ms = options.max_wait_ms;
    parts.make_executor = [&cluster, options, start](const group_view& view) {
      auto rank = view.find_member("a", start.device)->rank;
      auto scripted = options.ranks ? options.ranks({view.name, rank, start.incarnation}) : scripted_options{};
      scripted.vocabulary_size = static_cast<std::size_t>(options.vocabulary_size);
      scripted.blocks = options.blocks;
      scripted.samples = rank == view.sampling_rank();
      if (options.step.count() > 0 && !scripted.before_step)
        scripted.before_step = [&cluster, span = options.step](const step_plan&) { cluster.work_for(span); };
      return std::make_unique<scripted_executor>(scripted);
    };
    return parts;
  };
}

/// A client: notes what it is told.
template <class Router>
caf::behavior note_answers(caf::event_based_actor* self, std::shared_ptr<simulated_cluster::client_view> view,
                           Router router, submit message) {
  message.sink = caf::actor_cast<answer_sink_actor>(self);
  self->request(router, std::chrono::seconds(60), std::move(message))
      .then(
          [view](const accepted& info) {
            view->accepted = true;
            view->request = info.request;
          },
          [view](const caf::error& reason) {
            view->refusal = code_name(reason);
            view->refusal_sentence = describe(reason);
            view->retry_after = retry_after(reason);
          });
  return {[view](const answer& piece) {
    for (const auto& token : piece.event.tokens)
      view->tokens.push_back(token.token);
    view->events.push_back(piece.event);
  }};
}

/// What the node takes for its router: tells all routers about the groups.
router_actor::behavior_type fan_out(router_actor::pointer self, std::vector<router_actor> routers) {
  auto first = routers.front();
  return {
      [=](submit& message) { return self->delegate(first, std::move(message)); },
      [=](const cancel& message) { self->send(first, message); },
      [=](const grant& message) { self->send(first, message); },
      [=](const acknowledge& message) { self->send(first, message); },
      [=](tokens_sampled& message) { self->send(first, std::move(message)); },
      [=](const trial& message) { return self->delegate(first, message); },
      [=](serving_groups& message) {
        for (const auto& router : routers)
          self->send(router, message);
      },
      [=](text_actors& message) { self->send(first, std::move(message)); },
      [=](drain message) { return self->delegate(first, message); },
      [=](get_status message) { return self->delegate(first, message); },
  };
}

/// What a client takes for a node: the way to one router.
node_actor::behavior_type be_door(node_actor::pointer, router_actor router) {
  auto no = [] { return make_failure(errc::invalid_request, "a door only"); };
  return {
      [](const begin&) {},
      [](const rank_reported&) {},
      [](const rank_exited&) {},
      [](const cluster_view&) {},
      [](const lease_renewed&) {},
      [](const topology_changed&) {},
      [](const drain_place&) {},
      [](const restart_rank&) {},
      [](const change_topology&) {},
      [router](find_router) { return router; },
      [no](find_topology) -> caf::result<topology_actor> { return no(); },
      [](const put_value&) {},
      [no](const get_value&) -> caf::result<std::string> { return no(); },
      [no](get_status) -> caf::result<node_status> { return no(); },
      [no](const get_group_statistics&) -> caf::result<group_statistics> { return no(); },
      [no](const probe_node&) -> caf::result<probe_report> { return no(); },
      [no](const echo&) -> caf::result<echoed> { return no(); },
      [](get_trace&) { return trace_answer{}; },
      [](read_clock) { return clock_reading{}; },
      [](find_nodes) { return known_nodes{}; },
      [](inject&) { return std::uint64_t{0}; },
      [](rank_injector_ready&) {},
      [](list_faults) { return fault_list{}; },
      [](clear_faults) {},
      [](drain) {},
  };
}

}  // namespace

simulated_cluster::simulated_cluster(simulated_cluster_options options) : options_(std::move(options)) {
  auto text = std::make_shared<const prompt_encoder>();
  auto tokenizer = system.spawn<tokenizer_impl>(text);
  auto detokenizer = system.spawn<detokenizer_impl>(nullptr);
  router_options routing;
  routing.node = "a";
  routing.model = {"simulated", options_.vocabulary_size, options_.context};
  for (std::uint32_t index = 0; index < options_.routers; ++index) {
    routing.first_request = 1 + index * 1'000'000;
    routers.push_back(system.spawn<router_impl>(std::vector<tokenizer_actor>{tokenizer}, detokenizer, routing));
  }
  router = routers.front();
  auto all_routers = system.spawn(fan_out, routers);
  auto file = make_file(options_);
  auto launcher = std::make_shared<thread_launcher>(system, make_recipe(*this, options_));
  node_options node_settings;
  node_settings.name = "a";
  node = system.spawn<node_impl>(file, node_settings, launcher, all_routers);
  topology_ = system.spawn<topology_impl>(file, membership_options{});
  all_ = {caf::actor_cast<caf::actor>(tokenizer), caf::actor_cast<caf::actor>(detokenizer),
          caf::actor_cast<caf::actor>(all_routers), caf::actor_cast<caf::actor>(node),
          caf::actor_cast<caf::actor>(topology_)};
  resumer_options resuming;
  for (const auto& each : routers) {
    all_.push_back(caf::actor_cast<caf::actor>(each));
    auto door = system.spawn(be_door, each);
    all_.push_back(caf::actor_cast<caf::actor>(door));
    resuming.doors.push_back({{}, door});
  }
  resuming.make_key = [made = std::uint64_t{0}]() mutable { return request_key{7, ++made}; };
  agent_ = system.spawn<resumer_impl>(std::move(resuming));
  all_.push_back(caf::actor_cast<caf::actor>(agent_));
  caf::anon_send(node, begin{topology_});
  pass(std::chrono::seconds(2));
}

simulated_cluster::~simulated_cluster() {
  for (auto& [ticket, client] : clients_)
    caf::anon_send_exit(client, caf::exit_reason::user_shutdown);
  for (auto& actor : all_)
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  settle();
}

std::uint64_t simulated_cluster::submit_tokens(std::vector<token_id> prompt, std::uint32_t max_tokens,
                                               std::uint32_t credit) {
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  what.prompt.tokens = std::move(prompt);
  what.stops.max_tokens = max_tokens;
  return submit_generation(std::move(what), credit);
}

std::uint64_t simulated_cluster::submit_generation(generation what, std::uint32_t credit) {
  submit message;
  message.what = std::move(what);
  message.credit = credit;
  return submit_to(0, std::move(message));
}

std::uint64_t simulated_cluster::submit_to(std::uint32_t at, submit message) {
  auto ticket = ++tickets_;
  message.ticket = ticket;
  views_[ticket] = std::make_shared<client_view>();
  clients_[ticket] = system.spawn(note_answers<router_actor>, views_[ticket], routers.at(at), std::move(message));
  return ticket;
}

std::uint64_t simulated_cluster::submit_resuming(generation what, std::uint32_t credit) {
  auto ticket = ++tickets_;
  submit message{ticket, std::move(what), {}, credit};
  views_[ticket] = std::make_shared<client_view>();
  clients_[ticket] = system.spawn(note_answers<resumer_actor>, views_[ticket], agent_, std::move(message));
  return ticket;
}

void simulated_cluster::lose_router(std::uint32_t at) { caf::anon_send_exit(routers.at(at), caf::exit_reason::kill); }

void simulated_cluster::grant_answers(std::uint64_t ticket, std::uint32_t answers) {
  caf::anon_send(router, grant{view(ticket).request, answers});
  settle();
}

void simulated_cluster::cancel_request(std::uint64_t ticket) { caf::anon_send(router, cancel{view(ticket).request}); }

void simulated_cluster::lose_client(std::uint64_t ticket) {
  caf::anon_send_exit(clients_.at(ticket), caf::exit_reason::kill);
}

std::shared_ptr<bool> simulated_cluster::drain_node() {
  auto drained = std::make_shared<bool>(false);
  system.spawn([this, drained](caf::event_based_actor* self) {
    self->request(node, caf::infinite, drain{}).then([drained] { *drained = true; });
  });
  return drained;
}

std::vector<token_id> simulated_cluster::foretold(std::vector<token_id> prompt, std::size_t count) const {
  std::vector<token_id> answer;
  for (std::size_t i = 0; i < count; ++i) {
    answer.push_back(scripted_executor::next_token(prompt, static_cast<std::size_t>(options_.vocabulary_size)));
    prompt.push_back(answer.back());
  }
  return answer;
}

namespace {

/// Asks an actor and handles messages until it has answered.
template <class Result, class Handle, class Message>
Result ask(simulated_cluster& cluster, const Handle& actor, Message message) {
  auto result = std::make_shared<std::optional<Result>>();
  cluster.system.spawn([result, actor, message](caf::event_based_actor* self) {
    self->request(actor, caf::infinite, message).then([result](Result& value) { *result = std::move(value); });
  });
  cluster.settle();
  return result->value();
}

}  // namespace

router_status simulated_cluster::router_state(std::uint32_t at) {
  return ask<router_status>(*this, routers.at(at), get_status{});
}
group_statistics simulated_cluster::group_state(const std::string& group) {
  return ask<group_statistics>(*this, node, get_group_statistics{group});
}
cluster_view simulated_cluster::cluster_state() { return ask<node_status>(*this, node, get_status{}).view; }

}  // namespace troupe
