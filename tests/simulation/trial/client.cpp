// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/client.hpp"

#include <map>
#include <utility>

#include <fmt/format.h>

#include "actors/resumer.hpp"

namespace troupe::simulation {
namespace {

constexpr std::uint16_t node_port = 4242;

/// One request as the workload's stream draws it.
struct planned_request {
  instant when;
  generation what;
  std::uint32_t credit = 32;
  span pause{};          ///< before each grant; zero: none
  span cancel_after{};   ///< zero: never
  bool follows = false;  ///< goes on from the last answer, as the next turn of a conversation does
};

generation draw_generation(random_stream& random, const trial_options& options) {
  generation what;
  what.prompt.kind = prompt_kind::tokens;
  auto length = random.between(1, options.prompt_max);
  what.prompt.tokens.push_back(static_cast<token_id>(random.below(options.vocabulary - poison_markers)));
  for (std::uint64_t i = 1; i < length; ++i)
    what.prompt.tokens.push_back(static_cast<token_id>(random.below(options.vocabulary)));
  what.stops.max_tokens = static_cast<std::uint32_t>(random.between(1, options.tokens_max));
  what.sampling.temperature = 0;
  if (options.vocabulary <= 4096 && random.chance(0.5))
    for (int i = 0; i < 60; ++i)
      what.stops.stop_ids.push_back(static_cast<token_id>(random.below(options.vocabulary)));
  return what;
}

std::vector<planned_request> draw_requests(const trial_options& options, std::uint64_t client) {
  random_stream random{options.seed, fmt::format("workload {}", client)};
  random_stream turns{options.seed, fmt::format("conversation {}", client)};
  const bool talks = turns.chance(0.3);
  std::vector<planned_request> result;
  for (std::uint64_t i = 0; i < options.requests; ++i) {
    planned_request request;
    request.what = draw_generation(random, options);
    request.when = beginning + ms(random.below(options.busy_ms));
    request.credit = static_cast<std::uint32_t>(random.between(1, options.credit_max));
    auto slow = random.below(100) < options.slow_clients;
    auto pause = ms(random.between(1, 400));
    if (slow) request.pause = pause;
    auto cancels = random.below(100) < options.cancels;
    auto patience = us(random.between(1, 500'000));
    if (cancels) request.cancel_after = patience;
    request.follows = talks && turns.chance(0.7);
    if (request.when < beginning + ms(options.busy())) result.push_back(std::move(request));
  }
  if (client != 0) return result;
  for (std::uint64_t i = 0; i < options.poison; ++i) {
    planned_request request;
    request.what = draw_generation(random, options);
    request.what.prompt.tokens.front() = static_cast<token_id>(options.vocabulary - 1 - 2 * i - random.below(2));
    request.when = beginning + ms(random.below(options.busy_ms));
    if (request.when < beginning + ms(options.busy())) result.push_back(std::move(request));
  }
  return result;
}

class client_actor {
 public:
  static inline const char* name = "client";

  client_actor(caf::event_based_actor* self, process* home, observer* watcher, trial_options options,
               std::uint64_t number)
      : self_(self), home_(home), watcher_(watcher), options_(std::move(options)), number_(number) {}

  caf::behavior make_behavior() {
    self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
    spawn_resumer();
    for (auto& request : draw_requests(options_, number_)) {
      auto wait = request.when > self_->clock().now() ? request.when - self_->clock().now() : span{};
      self_->run_delayed(wait, [this, request] { submit_request(request); });
    }
    return {[this](const answer& piece) { on_answer(piece); }};
  }

 private:
  struct running {
    request_view* view;
    planned_request plan;
    request_id id;
  };

  void spawn_resumer() {
    resumer_options options;
    for (std::uint64_t i = 0; i < options_.nodes; ++i)
      options.doors.push_back(
          {{fmt::format("{}", static_cast<char>('a' + (number_ + i) % options_.nodes)), node_port}, {}});
    options.network = home_->door();
    options.make_key = [number = number_, made = std::uint64_t{0}]() mutable {
      return request_key{number + 1, ++made};
    };
    agent_ = home_->system().spawn<resumer_impl>(std::move(options));
  }

  /// A prompt that begins with the last answer and what led to it: what a group's cache may still have.
  void follow_last(std::vector<token_id>& prompt) const {
    constexpr std::size_t longest = 160;
    if (last_ == nullptr || last_->error_code == "poison" || last_->prompt.size() > longest) return;
    if (static_cast<std::uint64_t>(last_->prompt.front()) >= options_.vocabulary - poison_markers) return;
    auto whole = last_->prompt;
    for (const auto& token : last_->tokens)
      whole.push_back(token.token);
    whole.insert(whole.end(), prompt.begin(), prompt.end());
    prompt = std::move(whole);
  }

  void submit_request(planned_request plan) {
    auto ticket = ++tickets_;
    if (plan.follows) follow_last(plan.what.prompt.tokens);
    request_view view;
    view.client = number_;
    view.prompt = plan.what.prompt.tokens;
    view.what = plan.what;
    view.submitted = true;
    auto& entry = watcher_->add_request(std::move(view));
    watcher_->note(fmt::format("request {} submitted by client {}: {} + {} tokens", entry.number, number_,
                               plan.what.prompt.tokens.size(), plan.what.stops.max_tokens));
    running_[ticket] = {&entry, plan, {}};
    submit message;
    message.ticket = ticket;
    message.what = plan.what;
    message.sink = caf::actor_cast<answer_sink_actor>(self_);
    message.credit = plan.credit;
    self_->request(agent_, caf::infinite, std::move(message))
        .then([this, ticket](const accepted& info) { on_accepted(ticket, info); },
              [this, ticket](const caf::error& reason) { on_refused(ticket, reason); });
    if (plan.cancel_after != span{}) self_->run_delayed(plan.cancel_after, [this, ticket] { cancel_request(ticket); });
  }

  void on_accepted(std::uint64_t ticket, const accepted& info) {
    auto found = running_.find(ticket);
    if (found == running_.end()) return;
    found->second.id = info.request;
    if (found->second.view->done()) return;
    watcher_->accepted(*found->second.view);
  }

  void on_refused(std::uint64_t ticket, const caf::error& reason) {
    auto found = running_.find(ticket);
    if (found == running_.end() || found->second.view->lost) return;
    auto code = code_name(reason);
    watcher_->refused(*found->second.view, code);
    running_.erase(found);
  }

  void on_answer(const answer& piece) {
    auto found = running_.find(piece.ticket);
    if (found == running_.end()) return;
    found->second.id = piece.request;
    if (found->second.view->lost) return;
    watcher_->answered(*found->second.view, piece.event);
    if (found->second.view->done()) last_ = found->second.view;
    if (piece.event.finish != finish_reason::none) return;
    if (found->second.plan.pause == span{}) return give_credit(piece.ticket);
    watcher_->probes().hit(probe::client_stalled);
    self_->run_delayed(found->second.plan.pause, [this, ticket = piece.ticket] { give_credit(ticket); });
  }

  void give_credit(std::uint64_t ticket) {
    auto found = running_.find(ticket);
    if (found != running_.end()) self_->send(agent_, grant{found->second.id, 1});
  }

  void cancel_request(std::uint64_t ticket) {
    auto found = running_.find(ticket);
    if (found == running_.end() || found->second.view->done() || found->second.id.value == 0) return;
    found->second.view->cancelled = true;
    watcher_->probes().hit(probe::cancelled);
    self_->send(agent_, cancel{found->second.id});
  }

  caf::event_based_actor* self_;
  process* home_;
  observer* watcher_;
  trial_options options_;
  std::uint64_t number_;
  std::uint64_t tickets_ = 0;
  const request_view* last_ = nullptr;  ///< that ended
  resumer_actor agent_;
  std::map<std::uint64_t, running> running_;
};

using client_impl = caf::stateful_actor<client_actor>;

}  // namespace

process& start_client(world& where, observer& watcher, const trial_options& options, std::uint64_t number) {
  auto& home = where.start(fmt::format("client{}", number), fmt::format("client{}", number));
  home.keep(home.system().spawn<client_impl>(&home, &watcher, options, number));
  return home;
}

}  // namespace troupe::simulation
