// SPDX-License-Identifier: Apache-2.0
#include "actors/resumer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe {
namespace {

constexpr std::chrono::milliseconds tick_interval{50};

}  // namespace

resumer::resumer(resumer_actor::impl* self, resumer_options options) : self_(self), options_(std::move(options)) {
  for (const auto& way : options_.doors) {
    doors_.emplace_back();
    doors_.back().way = way;
  }
  options_.resumption.doors = doors_.size();
}

resumer_actor::behavior_type resumer::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { on_down(down); });
  // Its program ends: what is under way is not wanted any more.
  self_->set_exit_handler([this](caf::scheduled_actor*, caf::exit_msg& message) {
    for (const auto& [number, entry] : entries_)
      if (entry.upstream.value != 0) self_->send(entry.router, cancel{entry.upstream});
    self_->quit(message.reason);
  });
  tick();
  return {
      [this](submit& message) { return on_submit(message); },
      [this](const cancel& message) { on_cancel(message); },
      [this](const grant& message) { on_grant(message); },
      [this](answer& message) { on_answer(message); },
  };
}

caf::result<accepted> resumer::on_submit(submit& message) {
  budget_.count_request();
  auto key = message.key ? message.key : options_.make_key();
  // The client itself takes a request up again: the answer goes to its new end.
  for (auto found = entries_.begin(); found != entries_.end(); ++found) {
    if (found->second.logic.key() != key) continue;
    answer_event event;
    event.finish = finish_reason::error;
    event.error_code = to_string(errc::superseded);
    event.error = "the client took this answer up elsewhere";
    if (found->second.acceptance.pending())
      found->second.acceptance.deliver(make_failure(errc::superseded, event.error));
    else
      give(found->second, std::move(event));
    end(found);
    break;
  }
  auto number = ++numbers_;
  auto added = entries_.emplace(
      number, ongoing{resumption{std::move(message.what), key, options_.resumption, now(),
                                 std::move(message.have.tokens), message.have.text_bytes, message.promised},
                      message.ticket,
                      message.sink,
                      self_->make_response_promise<accepted>(),
                      message.credit,
                      0,
                      {},
                      0,
                      {},
                      {}});
  auto acceptance = added.first->second.acceptance;
  if (watched_.insert(message.sink.address()).second) self_->monitor(message.sink);
  advance(number);
  return acceptance;
}

resumer::entry_map::iterator resumer::find(request_id id) {
  auto found = ids_.find(id);
  return found == ids_.end() ? entries_.end() : entries_.find(found->second);
}

void resumer::on_cancel(const cancel& message) {
  auto found = find(message.request);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  if (entry.upstream.value != 0) self_->send(entry.router, cancel{entry.upstream});
  answer_event event;
  event.finish = finish_reason::abort;
  event.error_code = to_string(errc::cancelled);
  event.error = "cancelled by the client";
  event.usage.completion_tokens = static_cast<std::uint32_t>(entry.logic.tokens().size());
  give(entry, std::move(event));
  end(found);
}

void resumer::on_grant(const grant& message) {
  auto found = find(message.request);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  auto taken = std::min(entry.untaken, message.answers);
  entry.untaken -= taken;
  entry.window += message.answers - taken;
  if (entry.upstream.value != 0) self_->send(entry.router, grant{entry.upstream, message.answers});
}

void resumer::on_answer(answer& message) {
  auto attempt = attempts_.find(message.ticket);
  auto found = attempt == attempts_.end() ? entries_.end() : entries_.find(attempt->second);
  auto router = caf::actor_cast<router_actor>(self_->current_sender());
  if (found == entries_.end()) {
    // Of an attempt that was given up: nobody waits for it.
    if (message.event.finish == finish_reason::none && router) self_->send(router, cancel{message.request});
    return;
  }
  auto& entry = found->second;
  auto last = message.event.finish != finish_reason::none;
  auto event = entry.logic.take(std::move(message.event), budget_, now());
  if (!event) {
    if (!last && router) self_->send(router, grant{message.request, 1});
    return advance(found->first);
  }
  if (last && router) self_->send(router, acknowledge{message.request});
  give(entry, std::move(*event));
  if (last) end(found);
}

void resumer::give(ongoing& to, answer_event event) {
  ++to.untaken;
  self_->send(to.sink, answer{to.ticket, to.id, std::move(event)});
}

void resumer::on_down(const caf::down_msg& down) {
  if (watched_.erase(down.source) > 0) {
    std::vector<std::uint64_t> orphans;
    for (const auto& [number, entry] : entries_)
      if (entry.sink.address() == down.source) orphans.push_back(number);
    for (auto number : orphans) {
      auto found = entries_.find(number);
      if (found->second.upstream.value != 0) self_->send(found->second.router, cancel{found->second.upstream});
      end(found);
    }
    return;
  }
  std::vector<std::uint64_t> lost;
  for (auto& door : doors_)
    if (door.router && door.router.address() == down.source) {
      door.router = nullptr;
      if (door.way.where.port != 0) door.way.node = nullptr;  // most likely lost with it; the address stays
    }
  for (auto& [number, entry] : entries_) {
    if (!entry.router || entry.router.address() != down.source) continue;
    entry.router = nullptr;
    entry.upstream = {};
    entry.logic.lose(to_string(down.reason), now());
    lost.push_back(number);
  }
  for (auto number : lost)
    advance(number);
}

/// Does what the logic says is due.
void resumer::advance(std::uint64_t number) {
  auto found = entries_.find(number);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  auto step = entry.logic.next(now());
  if (auto* ask = std::get_if<resumption::submission>(&step)) return submit_now(number, std::move(*ask));
  auto* failure = std::get_if<resumption::failure>(&step);
  if (!failure) return;
  if (entry.upstream.value != 0) self_->send(entry.router, cancel{entry.upstream});
  if (entry.acceptance.pending()) {
    errc code = errc::rank_lost;
    for (std::uint8_t value = 1; from_integer(value, code) && to_string(code) != failure->code;)
      ++value;
    entry.acceptance.deliver(failure->retry_after.count() > 0 ? make_overload(failure->sentence, failure->retry_after)
                                                              : make_failure(code, failure->sentence));
  } else {
    answer_event event;
    event.finish = finish_reason::error;
    event.error = failure->sentence;
    event.error_code = failure->code;
    give(entry, std::move(event));
  }
  end(found);
}

void resumer::submit_now(std::uint64_t number, resumption::submission ask) {
  auto& door = doors_[ask.door];
  auto& entry = entries_.at(number);
  attempts_.erase(entry.attempt);
  entry.attempt = ++tickets_;
  attempts_[entry.attempt] = number;
  entry.router = door.router;
  entry.upstream = {};
  if (!door.router) {
    // The logic has asked; it is told when this door is reached or not, and then asks again.
    door.waiting.push_back(number);
    return reach(ask.door);
  }
  submit message{entry.attempt,
                 std::move(ask.what),
                 caf::actor_cast<answer_sink_actor>(self_),
                 entry.window - std::min(entry.window, entry.untaken),
                 ask.key,
                 true,
                 {std::move(ask.tokens), ask.text_bytes},
                 ask.accepted};
  self_->request(door.router, options_.resumption.answer_limit, std::move(message))
      .then([this, number, attempt = entry.attempt,
             router = door.router](const accepted& info) { on_accepted(number, attempt, info, router); },
            [this, number, attempt = entry.attempt](const caf::error& reason) { on_refused(number, attempt, reason); });
}

void resumer::on_accepted(std::uint64_t number, std::uint64_t attempt, const accepted& info,
                          const router_actor& router) {
  auto found = entries_.find(number);
  if (found == entries_.end() || found->second.attempt != attempt) return self_->send(router, cancel{info.request});
  auto& entry = found->second;
  entry.upstream = info.request;
  entry.logic.accept(now());
  if (!entry.acceptance.pending()) return;
  entry.id = info.request;
  ids_[entry.id] = number;
  entry.acceptance.deliver(info);
}

void resumer::on_refused(std::uint64_t number, std::uint64_t attempt, const caf::error& reason) {
  auto found = entries_.find(number);
  if (found == entries_.end() || found->second.attempt != attempt) return;
  auto& logic = found->second.logic;
  if (reason.category() == caf::type_id_v<errc>)
    logic.refuse(code_name(reason), describe(reason), retry_after(reason), budget_, now());
  else
    logic.lose(describe(reason), now());
  advance(number);
}

void resumer::reach(std::size_t index) {
  auto& door = doors_[index];
  if (door.reaching) return;
  door.reaching = true;
  if (door.way.node) return ask_for_router(index);
  connect<node_actor>(
      self_, options_.network, door.way.where, options_.connect_timeout,
      [this, index](node_actor node) {
        doors_[index].way.node = std::move(node);
        ask_for_router(index);
      },
      [this, index](const caf::error& reason) { on_unreached(index, reason); });
}

void resumer::ask_for_router(std::size_t index) {
  self_->request(doors_[index].way.node, options_.connect_timeout, find_router{})
      .then([this, index](router_actor& router) { on_reached(index, std::move(router)); },
            [this, index](const caf::error& reason) {
              // A node of another process may come back as another actor; the own node is what it is.
              if (doors_[index].way.where.port != 0) doors_[index].way.node = nullptr;
              on_unreached(index, reason);
            });
}

void resumer::on_reached(std::size_t index, router_actor router) {
  auto& door = doors_[index];
  door.reaching = false;
  door.router = std::move(router);
  self_->monitor(door.router);
  for (auto number : std::exchange(door.waiting, {})) {
    auto found = entries_.find(number);
    if (found == entries_.end() || found->second.logic.door() != index) continue;
    if (auto ask = found->second.logic.ask_again(now())) submit_now(number, std::move(*ask));
  }
}

void resumer::on_unreached(std::size_t index, const caf::error& reason) {
  auto& door = doors_[index];
  door.reaching = false;
  auto place = door.way.where.port == 0 ? std::string{"the node"}
                                        : fmt::format("{}:{}", door.way.where.host, door.way.where.port);
  for (auto number : std::exchange(door.waiting, {})) {
    auto found = entries_.find(number);
    if (found == entries_.end() || found->second.logic.door() != index) continue;
    found->second.logic.lose(fmt::format("{} does not answer ({})", place, to_string(reason)), now());
    advance(number);
  }
}

void resumer::end(entry_map::iterator found) {
  attempts_.erase(found->second.attempt);
  ids_.erase(found->second.id);
  entries_.erase(found);
}

void resumer::tick() {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, entry] : entries_)
    numbers.push_back(number);
  for (auto number : numbers)
    advance(number);
  self_->run_delayed(tick_interval, [this] { tick(); });
}

}  // namespace troupe
