// SPDX-License-Identifier: Apache-2.0
#include "actors/client.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/network.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t credit = 64;

[[noreturn]] void raise(const caf::error& reason) {
  throw client_error(code_name(reason), describe(reason), retry_after(reason));
}

/// Asks and waits; throws client_error.
template <class Result, class Handle, class Message>
Result ask(caf::actor_system& system, const Handle& actor, std::chrono::milliseconds timeout, Message message) {
  std::optional<Result> result;
  caf::scoped_actor self{system};
  self->request(actor, timeout, std::move(message))
      .receive([&](Result& value) { result = std::move(value); }, [](const caf::error& reason) { raise(reason); });
  return std::move(*result);
}

/// The agent of a client and its streams; it ends with the last of them.
std::shared_ptr<const resumer_actor> spawn_agent(caf::actor_system& system, std::vector<cluster_door> doors) {
  resumer_options options;
  options.doors = std::move(doors);
  options.network = network_of(system);
  auto agent = system.spawn<resumer_impl>(std::move(options));
  return {new resumer_actor{std::move(agent)}, [](const resumer_actor* handle) {
            caf::anon_send_exit(*handle, caf::exit_reason::user_shutdown);
            delete handle;
          }};
}

}  // namespace

generation_stream::generation_stream(caf::actor_system& system, std::shared_ptr<const resumer_actor> agent)
    : sink_(std::make_unique<caf::scoped_actor>(system)), agent_(std::move(agent)) {}

generation_stream::generation_stream(generation_stream&&) noexcept = default;
generation_stream& generation_stream::operator=(generation_stream&&) noexcept = default;

generation_stream::~generation_stream() {
  if (sink_ && !ended_) cancel();
}

std::optional<answer_event> generation_stream::next() {
  if (ended_) return std::nullopt;
  std::optional<answer_event> event;
  auto& self = *sink_;
  self->receive([&](answer& message) { event = std::move(message.event); }, caf::after(silence_limit_) >> [] {});
  if (!event) {
    cancel();
    ended_ = true;
    throw client_error("deadline_exceeded", fmt::format("no answer came for {} ms", silence_limit_.count()));
  }
  ended_ = event->finish != finish_reason::none;
  if (!ended_) self->send(*agent_, grant{info_.request, 1});
  return event;
}

void generation_stream::cancel() { (*sink_)->send(*agent_, troupe::cancel{info_.request}); }

client client::connect(caf::actor_system& system, const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout) {
  return connect(system, std::vector<endpoint>{{host, port}}, timeout);
}

client client::connect(caf::actor_system& system, const std::vector<endpoint>& nodes,
                       std::chrono::milliseconds timeout) {
  std::string tried;
  for (std::size_t first = 0; first < nodes.size(); ++first) {
    const auto& at = nodes[first];
    auto node = knock(system, at.host, at.port);
    if (!node) {
      tried += fmt::format("{}{}:{} ({})", tried.empty() ? "" : ", ", at.host, at.port, to_string(node.error()));
      continue;
    }
    std::vector<cluster_door> doors;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      doors.push_back({nodes[(first + i) % nodes.size()]});
    doors.front().node = *node;
    return {system, *node, std::move(doors), timeout};
  }
  throw client_error("not_ready", fmt::format("no Troupe node answers at {}; is `troupe node` running there?", tried));
}

client::client(caf::actor_system& system, node_actor node, std::chrono::milliseconds timeout)
    : client(system, node, {cluster_door{{}, node}}, timeout) {}

client::client(caf::actor_system& system, node_actor node, std::vector<cluster_door> doors,
               std::chrono::milliseconds timeout)
    : system_(&system), timeout_(timeout), node_(std::move(node)) {
  router_ = ask<router_actor>(*system_, node_, timeout_, find_router{});
  agent_ = spawn_agent(*system_, std::move(doors));
}

generation_stream client::generate(generation what) {
  generation_stream stream{*system_, agent_};
  auto& self = *stream.sink_;
  submit message;
  message.ticket = 1;
  message.what = std::move(what);
  message.sink = caf::actor_cast<answer_sink_actor>(self);
  message.credit = credit;
  self->request(*agent_, caf::infinite, std::move(message))  // bounded: every request has a deadline
      .receive([&](accepted& info) { stream.info_ = std::move(info); },
               [&](const caf::error& reason) {
                 stream.ended_ = true;
                 raise(reason);
               });
  return stream;
}

node_status client::status() const { return ask<node_status>(*system_, node_, timeout_, get_status{}); }

group_statistics client::statistics(const std::string& group) const {
  return ask<group_statistics>(*system_, node_, timeout_, get_group_statistics{group});
}

bool client::wait_until_ready(std::chrono::milliseconds limit,
                              const std::function<void(const cluster_view&)>& waits_for) const {
  auto end = std::chrono::steady_clock::now() + limit;
  caf::scoped_actor pause{*system_};
  while (std::chrono::steady_clock::now() < end) {
    auto view = status().view;
    auto serves = [](const group_view& group) { return group.phase == group_phase::serving; };
    if (std::any_of(view.groups.begin(), view.groups.end(), serves)) return true;
    if (waits_for) waits_for(view);
    pause->receive(caf::after(std::chrono::milliseconds(50)) >> [] {});
  }
  return false;
}

}  // namespace troupe
