// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/reply_stream.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <caf/all.hpp>

namespace troupe {
namespace {

constexpr std::chrono::seconds submit_timeout{60};
constexpr std::chrono::seconds status_timeout{5};
constexpr std::chrono::milliseconds health_interval{200};

/// The actor: one piece of state for each request that has not ended.
class completion_sink {
 public:
  static inline const char* name = "completion-sink";

  completion_sink(caf::event_based_actor* self, std::shared_ptr<reply_stream_state> shared, node_actor node,
                  router_actor router)
      : self_(self), shared_(std::move(shared)), node_(std::move(node)), router_(std::move(router)) {}

  caf::behavior make_behavior() {
    self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
    self_->set_default_handler(caf::drop);
    refresh_health();
    return {
        [this](caf::open_atom, std::uint64_t ticket) { open(ticket); },
        [this](caf::put_atom, std::uint64_t ticket, std::uint32_t events) { give_credit(ticket, events); },
        [this](caf::close_atom, std::uint64_t ticket) { close(ticket); },
        [this](answer& message) { pass_on(message); },
    };
  }

 private:
  struct completion {
    completion_callbacks callbacks;
    request_id request;  ///< once accepted
    bool accepted = false;
    bool cancelled = false;  ///< before it was accepted
  };

  void open(std::uint64_t ticket) {
    reply_stream_state::order order;
    {
      std::lock_guard lock{shared_->mutex};
      auto found = shared_->orders.extract(ticket);
      if (!found) return;
      order = std::move(found.mapped());
    }
    completions_[ticket].callbacks = std::move(order.callbacks);
    auto sink = caf::actor_cast<answer_sink_actor>(self_);
    self_->request(router_, submit_timeout, troupe::submit{ticket, std::move(order.what), sink, order.credit})
        .then([this, ticket](const accepted& info) { accept(ticket, info); },
              [this, ticket](const caf::error& reason) { refuse(ticket, reason); });
  }

  void accept(std::uint64_t ticket, const accepted& info) {
    auto found = completions_.find(ticket);
    if (found == completions_.end()) return;
    auto& entry = found->second;
    entry.request = info.request;
    entry.accepted = true;
    if (entry.cancelled) return close(ticket);
    entry.callbacks.accepted();
  }

  void refuse(std::uint64_t ticket, const caf::error& reason) {
    auto found = completions_.extract(ticket);
    if (found && !found.mapped().cancelled) found.mapped().callbacks.refused({code_name(reason), describe(reason)});
  }

  void give_credit(std::uint64_t ticket, std::uint32_t events) {
    auto found = completions_.find(ticket);
    if (found != completions_.end() && found->second.accepted)
      self_->send(router_, grant{found->second.request, events});
  }

  void close(std::uint64_t ticket) {
    auto found = completions_.find(ticket);
    if (found == completions_.end()) return;
    found->second.cancelled = true;
    if (!found->second.accepted) return;  // accept() comes back here
    self_->send(router_, cancel{found->second.request});
    completions_.erase(found);
  }

  void pass_on(answer& message) {
    auto found = completions_.find(message.ticket);
    if (found == completions_.end()) return;
    auto last = message.event.finish != finish_reason::none;
    auto event = found->second.callbacks.event;
    if (last) completions_.erase(found);
    event(std::move(message.event));
  }

  void refresh_health() {
    self_->request(node_, status_timeout, get_status{})
        .then([this](const node_status& status) { tell_health(judge(status)); },
              [this](const caf::error& reason) {
                tell_health({false, "degraded", describe(reason)});
              });
    self_->run_delayed(health_interval, [this] { refresh_health(); });
  }

  service_health judge(const node_status& status) {
    if (status.router.draining) return {false, "draining", "the node is being stopped"};
    const group_view* waits = nullptr;
    bool serves = false;
    for (const auto& group : status.view.groups) {
      if (group.phase == group_phase::serving)
        serves = true;
      else
        waits = &group;
    }
    served_ = served_ || serves;
    if (!waits) return {serves, serves ? "ready" : "starting", ""};
    auto sentence = "group " + waits->name + ": " + waits->message;
    return {serves, serves || served_ ? "degraded" : "starting", std::move(sentence)};
  }

  void tell_health(service_health health) {
    std::lock_guard lock{shared_->mutex};
    shared_->health = std::move(health);
  }

  caf::event_based_actor* self_;
  std::shared_ptr<reply_stream_state> shared_;
  node_actor node_;
  router_actor router_;
  std::map<std::uint64_t, completion> completions_;
  bool served_ = false;
};

}  // namespace

reply_stream::reply_stream(caf::actor_system& system, node_actor node, router_actor router, served_model model,
                           std::shared_ptr<const tokenizer> vocabulary)
    : model_(std::move(model)),
      vocabulary_(std::move(vocabulary)),
      state_(std::make_shared<reply_stream_state>()),
      sink_(system.spawn<caf::stateful_actor<completion_sink>>(state_, std::move(node), std::move(router))) {}

reply_stream::~reply_stream() { caf::anon_send_exit(sink_, caf::exit_reason::user_shutdown); }

completion_ticket reply_stream::submit(generation what, std::uint32_t credit, completion_callbacks callbacks) {
  std::uint64_t ticket = 0;
  {
    std::lock_guard lock{state_->mutex};
    ticket = ++next_ticket_;
    state_->orders[ticket] = {std::move(what), credit, std::move(callbacks)};
  }
  caf::anon_send(sink_, caf::open_atom_v, ticket);
  return {ticket};
}

void reply_stream::credit(completion_ticket ticket, std::uint32_t events) {
  caf::anon_send(sink_, caf::put_atom_v, ticket.value, events);
}

void reply_stream::cancel(completion_ticket ticket) { caf::anon_send(sink_, caf::close_atom_v, ticket.value); }

service_health reply_stream::health() const {
  std::lock_guard lock{state_->mutex};
  return state_->health;
}

std::string reply_stream::token_bytes(token_id token) const {
  if (!vocabulary_ || !vocabulary_->contains(token)) return {};
  return std::string{vocabulary_->token_bytes(token)};
}

}  // namespace troupe
