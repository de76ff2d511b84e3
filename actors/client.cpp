// SPDX-License-Identifier: Apache-2.0
#include "actors/client.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/network.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t credit = 64;

[[noreturn]] void raise(const caf::error& reason) { throw client_error(code_name(reason), describe(reason)); }

/// Asks and waits; throws client_error.
template <class Result, class Handle, class Message>
Result ask(caf::actor_system& system, const Handle& actor, std::chrono::milliseconds timeout, Message message) {
  std::optional<Result> result;
  caf::scoped_actor self{system};
  self->request(actor, timeout, std::move(message))
      .receive([&](Result& value) { result = std::move(value); }, [](const caf::error& reason) { raise(reason); });
  return std::move(*result);
}

}  // namespace

generation_stream::generation_stream(caf::actor_system& system, router_actor router)
    : sink_(std::make_unique<caf::scoped_actor>(system)), router_(std::move(router)) {}

generation_stream::generation_stream(generation_stream&&) noexcept = default;
generation_stream& generation_stream::operator=(generation_stream&&) noexcept = default;

generation_stream::~generation_stream() {
  if (sink_ && !ended_) cancel();
}

std::optional<answer_event> generation_stream::next() {
  if (ended_) return std::nullopt;
  std::optional<answer_event> event;
  std::optional<client_error> failure;
  auto& self = *sink_;
  self->receive([&](answer& message) { event = std::move(message.event); },
                [&](const caf::down_msg& down) {
                  failure.emplace("rank_lost", "the router was lost: " + to_string(down.reason));
                },
                caf::after(silence_limit_) >>
                    [&] {
                      failure.emplace("deadline_exceeded",
                                      fmt::format("no answer came for {} ms", silence_limit_.count()));
                    });
  if (failure) {
    ended_ = true;
    throw client_error(*failure);
  }
  ended_ = event->finish != finish_reason::none;
  if (!ended_) self->send(router_, grant{info_.request, 1});
  return event;
}

void generation_stream::cancel() { (*sink_)->send(router_, troupe::cancel{info_.request}); }

client client::connect(caf::actor_system& system, const std::string& host, std::uint16_t port,
                       std::chrono::milliseconds timeout) {
  auto node = knock(system, host, port);
  if (!node)
    throw client_error("not_ready", fmt::format("no Troupe node answers at {}:{} ({}); is `troupe node` running there?",
                                                host, port, to_string(node.error())));
  return {system, *node, timeout};
}

client::client(caf::actor_system& system, node_actor node, std::chrono::milliseconds timeout)
    : system_(&system), timeout_(timeout), node_(std::move(node)) {
  router_ = ask<router_actor>(*system_, node_, timeout_, find_router{});
}

generation_stream client::generate(generation what) {
  generation_stream stream{*system_, router_};
  auto& self = *stream.sink_;
  self->monitor(router_);
  submit message{1, std::move(what), caf::actor_cast<answer_sink_actor>(self), credit};
  self->request(router_, std::chrono::minutes(1), std::move(message))
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
