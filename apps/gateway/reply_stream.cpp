// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/reply_stream.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include "actors/resumer.hpp"
#include "actors/serving_metrics.hpp"
#include "apps/gateway/journal.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds return_limit{10};  // for a client that may come back
constexpr std::chrono::seconds status_timeout{5};
constexpr std::chrono::milliseconds health_interval{200};
constexpr std::uint64_t statistics_every = 5;  // health intervals

/// The actor: one piece of state for each request that has not ended.
class completion_sink {
 public:
  static inline const char* name = "completion-sink";

  completion_sink(caf::event_based_actor* self, std::shared_ptr<reply_stream_state> shared, node_actor node,
                  resumer_actor agent, std::shared_ptr<journal> book, std::vector<journal_entry> unfinished)
      : self_(self),
        shared_(std::move(shared)),
        node_(std::move(node)),
        agent_(std::move(agent)),
        book_(std::move(book)),
        unfinished_(std::move(unfinished)),
        metrics_(self->system().metrics()) {}

  caf::behavior make_behavior() {
    self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
    self_->set_default_handler(caf::drop);
    refresh_health();
    return {
        [this](caf::open_atom, std::uint64_t ticket) { open(ticket); },
        [this](caf::put_atom, std::uint64_t ticket, std::uint32_t events) { give_credit(ticket, events); },
        [this](caf::close_atom, std::uint64_t ticket) { close(ticket); },
        [this](caf::leave_atom, std::uint64_t ticket) { leave(ticket); },
        [this](answer& message) { pass_on(message); },
    };
  }

 private:
  struct completion {
    completion_callbacks callbacks;  ///< empty: nobody waits now, and somebody may come back
    request_key key;
    generation what;     ///< for the journal, until it is accepted
    request_id request;  ///< once accepted
    bool accepted = false;
    bool cancelled = false;  ///< before it was accepted
    serving_metrics::progress way{};
    std::uint32_t tokens = 0;  ///< of the answer in the journal
  };

  void open(std::uint64_t ticket) {
    reply_stream_state::order order;
    {
      std::lock_guard lock{shared_->mutex};
      auto found = shared_->orders.extract(ticket);
      if (!found) return;
      order = std::move(found.mapped());
    }
    auto& entry = completions_[ticket];
    entry.callbacks = std::move(order.callbacks);
    entry.key = order.key;
    entry.way.begun = self_->clock().now();
    if (book_) entry.what = order.what;
    ask(ticket, std::move(order.what), order.credit, {});
  }

  void ask(std::uint64_t ticket, generation what, std::uint32_t credit, std::vector<token_id> tokens,
           bool promised = false) {
    troupe::submit message;
    message.ticket = ticket;
    message.what = std::move(what);
    message.sink = caf::actor_cast<answer_sink_actor>(self_);
    message.credit = credit;
    message.key = completions_.at(ticket).key;
    message.have.tokens = std::move(tokens);
    message.promised = promised;
    self_
        ->request(agent_, caf::infinite, std::move(message))  // bounded: every request has a deadline
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
    if (book_ && entry.tokens == 0) book_->accept(entry.key, std::exchange(entry.what, {}));
    if (entry.callbacks.accepted) entry.callbacks.accepted();
  }

  void refuse(std::uint64_t ticket, const caf::error& reason) {
    auto found = completions_.extract(ticket);
    if (!found) return;
    auto& entry = found.mapped();
    if (book_) book_->end(entry.key);
    if (entry.cancelled || !entry.callbacks.refused) return;
    metrics_.refuse(code_name(reason));
    auto wait = std::chrono::ceil<std::chrono::seconds>(retry_after(reason)).count();
    entry.callbacks.refused({code_name(reason), describe(reason), static_cast<int>(wait)});
  }

  void give_credit(std::uint64_t ticket, std::uint32_t events) {
    auto found = completions_.find(ticket);
    if (found != completions_.end() && found->second.accepted)
      self_->send(agent_, grant{found->second.request, events});
  }

  void close(std::uint64_t ticket) {
    auto found = completions_.find(ticket);
    if (found == completions_.end()) return;
    found->second.cancelled = true;
    if (!found->second.accepted) return;  // accept() comes back here
    if (book_) book_->end(found->second.key);
    self_->send(agent_, cancel{found->second.request});
    completions_.erase(found);
  }

  /// The answer goes on as far as its credit reaches; whoever asks with its key takes it over.
  void leave(std::uint64_t ticket) {
    auto found = completions_.find(ticket);
    if (found == completions_.end()) return;
    found->second.callbacks = {};
    self_->run_delayed(return_limit, [this, ticket] { close(ticket); });
  }

  void pass_on(answer& message) {
    auto found = completions_.find(message.ticket);
    if (found == completions_.end()) return;
    auto& entry = found->second;
    auto last = message.event.finish != finish_reason::none;
    // One that was taken up elsewhere under the same key has not ended.
    auto over = last && message.event.error_code != to_string(errc::superseded);
    metrics_.note(entry.way, message.event, self_->clock().now());
    if (book_) note(entry, message.event, over);
    auto event = entry.callbacks.event;
    if (last) completions_.erase(found);
    if (event) event(std::move(message.event));
  }

  void note(completion& entry, const answer_event& event, bool over) {
    std::vector<token_id> fresh;
    for (const auto& token : event.tokens)
      if (token.position >= entry.tokens) fresh.push_back(token.token);
    entry.tokens += static_cast<std::uint32_t>(fresh.size());
    if (over)
      book_->end(entry.key);
    else
      book_->extend(entry.key, fresh);
  }

  /// What an earlier process had accepted: it is computed to its end, and waits for a client that asks with its key.
  void finish_old() {
    for (auto& old : std::exchange(unfinished_, {})) {
      std::uint64_t ticket = 0;
      {
        std::lock_guard lock{shared_->mutex};
        ticket = ++shared_->tickets;
      }
      auto& entry = completions_[ticket];
      entry.key = old.key;
      entry.tokens = static_cast<std::uint32_t>(old.tokens.size());
      entry.what = old.what;
      entry.way.begun = self_->clock().now();
      ask(ticket, std::move(old.what), 1, std::move(old.tokens), true);
      leave(ticket);
    }
  }

  void refresh_health() {
    self_->request(node_, status_timeout, get_status{})
        .then(
            [this](const node_status& status) {
              auto health = judge(status);
              if (health.ready) finish_old();
              tell_health(std::move(health));
              metrics_.show(status);
              if (refreshes_++ % statistics_every == 0) ask_statistics(status);
            },
            [this](const caf::error& reason) {
              tell_health({false, "degraded", describe(reason)});
            });
    if (book_) book_->keep_up(self_->clock().now());
    self_->run_delayed(health_interval, [this] { refresh_health(); });
  }

  /// Each group's figures are told by the node that leads it, so that those of all nodes add up.
  void ask_statistics(const node_status& status) {
    for (const auto& group : status.view.groups) {
      if (group.phase != group_phase::serving || group.members.front().node != status.node) continue;
      self_->request(node_, status_timeout, get_group_statistics{group.name})
          .then([this, name = group.name](const group_statistics& statistics) { metrics_.show(name, statistics); },
                [](const caf::error&) {});  // the group is being lost; health says so
    }
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
  resumer_actor agent_;
  std::shared_ptr<journal> book_;          ///< null: nothing is written
  std::vector<journal_entry> unfinished_;  ///< of an earlier process, until a group serves
  std::map<std::uint64_t, completion> completions_;
  serving_metrics metrics_;
  std::uint64_t refreshes_ = 0;
  bool served_ = false;
};

resumer_actor spawn_agent(caf::actor_system& system, const node_actor& node) {
  resumer_options options;
  options.doors.push_back({{}, node});
  return system.spawn<resumer_impl>(std::move(options));
}

caf::actor spawn_sink(caf::actor_system& system, std::shared_ptr<reply_stream_state> state, node_actor node,
                      resumer_actor agent, const std::filesystem::path& path) {
  std::shared_ptr<journal> book;
  journal_content old;
  if (!path.empty()) {
    old = read_journal(path);
    if (!old.warning.empty()) spdlog::warn("journal-damaged reason=\"{}\"", old.warning);
    spdlog::info("journal-read path={} unfinished={}", path.string(), old.unfinished.size());
    book = std::make_shared<journal>(path, old.unfinished);
  }
  return system.spawn<caf::stateful_actor<completion_sink>>(std::move(state), std::move(node), std::move(agent),
                                                            std::move(book), std::move(old.unfinished));
}

}  // namespace

reply_stream::reply_stream(caf::actor_system& system, node_actor node, served_model model,
                           std::shared_ptr<const tokenizer> vocabulary, const std::filesystem::path& journal_path)
    : system_(system),
      model_(std::move(model)),
      vocabulary_(std::move(vocabulary)),
      state_(std::make_shared<reply_stream_state>()),
      agent_(spawn_agent(system, node)),
      sink_(spawn_sink(system, state_, std::move(node), agent_, journal_path)) {}

reply_stream::~reply_stream() {
  caf::anon_send_exit(sink_, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(agent_, caf::exit_reason::user_shutdown);
}

completion_ticket reply_stream::submit(generation what, const request_key& key, std::uint32_t credit,
                                       completion_callbacks callbacks) {
  std::uint64_t ticket = 0;
  {
    std::lock_guard lock{state_->mutex};
    ticket = ++state_->tickets;
    state_->orders[ticket] = {std::move(what), key, credit, std::move(callbacks)};
  }
  caf::anon_send(sink_, caf::open_atom_v, ticket);
  return {ticket};
}

void reply_stream::leave(completion_ticket ticket) { caf::anon_send(sink_, caf::leave_atom_v, ticket.value); }

void reply_stream::credit(completion_ticket ticket, std::uint32_t events) {
  caf::anon_send(sink_, caf::put_atom_v, ticket.value, events);
}

void reply_stream::cancel(completion_ticket ticket) { caf::anon_send(sink_, caf::close_atom_v, ticket.value); }

service_health reply_stream::health() const {
  std::lock_guard lock{state_->mutex};
  return state_->health;
}

std::string reply_stream::metrics() const { return prometheus_text(system_.metrics()); }

std::string reply_stream::token_bytes(token_id token) const {
  if (!vocabulary_ || !vocabulary_->contains(token)) return {};
  return std::string{vocabulary_->token_bytes(token)};
}

}  // namespace troupe
