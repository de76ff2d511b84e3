// SPDX-License-Identifier: Apache-2.0
#include "actors/router.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/trace_notes.hpp"
#include "runtime/text/stop_matcher.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds tick_interval{250};
constexpr int attempts_max = 3;

}  // namespace

router::router(router_actor::impl* self, std::vector<tokenizer_actor> tokenizers, detokenizer_actor detokenizer,
               router_options options)
    : self_(self),
      tokenizers_(std::move(tokenizers)),
      detokenizer_(std::move(detokenizer)),
      options_(std::move(options)),
      next_request_(options_.first_request) {}

router_actor::behavior_type router::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});  // a peer's refusal must not end the router
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    watched_.erase(down.source);
    for (auto entry = records_.begin(); entry != records_.end();) {
      auto next = std::next(entry);
      if (entry->second.sink.address() == down.source)
        fail(entry, make_failure(errc::cancelled, "the client is gone"), finish_reason::abort);
      entry = next;
    }
  });
  tick();
  return {
      [this](submit& message) { return on_submit(message); },
      [this](const cancel& message) { on_cancel(message); },
      [this](const grant& message) { on_grant(message); },
      [this](tokens_sampled& message) { on_tokens(message); },
      [this](serving_groups& message) { on_groups(message); },
      [this](drain) { return on_drain(); },
      [this](get_status) { return on_status(); },
  };
}

caf::result<accepted> router::on_submit(submit& message) {
  if (auto fault = find_fault(message)) {
    ++status_.refused;
    return fault;
  }
  request_id id{next_request_++};
  auto now = self_->clock().now();
  auto limit = message.what.deadline_ms == 0
                   ? options_.request_limit
                   : std::min(options_.request_limit, std::chrono::milliseconds(message.what.deadline_ms));
  auto& what = message.what;
  record entry{{id, {}, 0, std::move(what.sampling), std::move(what.stops), what.priority},
               message.ticket,
               message.sink,
               std::move(what.stop_strings),
               what.include_stop,
               answer_stream{message.credit},
               self_->make_response_promise<accepted>(),
               {},
               {},
               {},
               finish_reason::none,
               0,
               0,
               now + limit,
               now,
               false};
  auto acceptance = entry.acceptance;
  note(trace_hop::submitted, entry);
  records_.emplace(id, std::move(entry));
  if (watched_.insert(message.sink.address()).second) self_->monitor(message.sink);
  self_->request(tokenizers_[id.value % tokenizers_.size()], options_.text_timeout, tokenize{std::move(what.prompt)})
      .then([this, id](tokenized& result) { on_tokenized(id, result); },
            [this, id](const caf::error& reason) {
              if (auto found = records_.find(id); found != records_.end()) refuse(found, reason);
            });
  return acceptance;
}

caf::error router::find_fault(const submit& message) const {
  const auto& what = message.what;
  if (!message.sink) return make_failure(errc::invalid_request, "the request names no answer sink");
  if (!drained_.empty() || status_.draining)
    return make_failure(errc::draining, fmt::format("node {} is being stopped; ask another node", options_.node));
  if (!what.model.empty() && what.model != options_.model.name)
    return make_failure(errc::model_not_found, fmt::format("model '{}' is not served; this cluster serves '{}'",
                                                           what.model, options_.model.name));
  auto stops = what.stops;
  stops.max_tokens = std::max(stops.max_tokens, 1U);  // 0 means up to the end of the context
  for (const auto& fault :
       {find_error(what.sampling, options_.model.vocabulary_size), find_error(stops, options_.model.vocabulary_size),
        stop_matcher::problem_with(what.stop_strings)})
    if (!fault.empty()) return make_failure(errc::invalid_request, fault);
  if (groups_.empty())
    return make_failure(errc::not_ready, "no group serves yet; `troupe status` says what is waited for");
  if (records_.size() >= options_.live_max)
    return make_failure(
        errc::queue_full,
        fmt::format("{} requests are being served and no more may be; try again later", records_.size()));
  return {};
}

void router::on_tokenized(request_id id, tokenized& result) {
  auto found = records_.find(id);
  if (found == records_.end()) return;
  auto& request = found->second.request;
  const auto context = options_.model.context_tokens;
  const auto prompt_tokens = static_cast<std::uint32_t>(result.tokens.size());
  if (result.tokens.empty())
    return refuse(found, make_failure(errc::invalid_request, "the prompt is empty; give at least one token"));
  if (prompt_tokens >= context)
    return refuse(found,
                  make_failure(errc::context_length_exceeded,
                               fmt::format("the prompt has {} tokens and the model's context is {} tokens, prompt "
                                           "and answer together; shorten the prompt",
                                           prompt_tokens, context)));
  auto bad = std::find_if(result.tokens.begin(), result.tokens.end(),
                          [&](token_id t) { return t < 0 || t >= options_.model.vocabulary_size; });
  if (bad != result.tokens.end())
    return refuse(found, make_failure(errc::invalid_request,
                                      fmt::format("the prompt has token id {}, and the model's ids are 0 to {}", *bad,
                                                  options_.model.vocabulary_size - 1)));
  request.tokens = std::move(result.tokens);
  request.prompt_tokens = prompt_tokens;
  auto room = context - prompt_tokens;
  request.stops.max_tokens = request.stops.max_tokens == 0 ? room : std::min(request.stops.max_tokens, room);
  self_->send(detokenizer_, open_text{id, found->second.stop_strings, found->second.include_stop});
  note(trace_hop::tokenized, found->second, prompt_tokens);
  place(found->second);
}

/// Gives a request to the group with the fewest requests of this router; without any it waits for one.
void router::place(record& entry) {
  const serving_group* best = nullptr;
  auto load = [this](const std::string& group) {
    return std::count_if(records_.begin(), records_.end(), [&](const auto& r) { return r.second.group == group; });
  };
  std::ptrdiff_t best_load = 0;
  for (const auto& [group_name, group] : groups_) {
    auto group_load = load(group_name);
    if (best && group_load >= best_load) continue;
    best = &group;
    best_load = group_load;
  }
  if (!best) {
    entry.group.clear();
    return;
  }
  entry.group = best->name;
  entry.epoch = best->epoch;
  auto id = entry.request.id;
  note(trace_hop::enqueued, entry, entry.request.tokens.size());
  self_->request(best->leader, options_.enqueue_timeout, enqueue{best->epoch, entry.request})
      .then([this, id] { on_admitted(id); },
            [this, id, at = best->epoch](const caf::error& reason) { on_enqueue_failed(id, at, reason); });
}

void router::on_admitted(request_id id) {
  auto found = records_.find(id);
  if (found == records_.end() || !found->second.acceptance.pending()) return;
  ++status_.accepted;
  note(trace_hop::admitted, found->second);
  spdlog::debug("request-accepted request={} group={} epoch={} prompt_tokens={}", id.value, found->second.group,
                found->second.epoch.value, found->second.request.prompt_tokens);
  found->second.acceptance.deliver(accepted{id, found->second.request.prompt_tokens, options_.model.name});
}

void router::on_enqueue_failed(request_id id, troupe::epoch at, const caf::error& reason) {
  auto found = records_.find(id);
  if (found == records_.end() || found->second.epoch != at) return;
  auto& entry = found->second;
  if (entry.acceptance.pending()) {
    auto gone = reason.category() != caf::type_id_v<errc>;
    // The group is lost and its node has not said so yet: another one may serve.
    if (gone && ++entry.attempts < attempts_max && groups_.erase(entry.group) > 0 && !groups_.empty())
      return place(entry);
    return refuse(found,
                  gone ? make_failure(errc::rank_lost, "the group was lost while it was asked; try again") : reason);
  }
  // Accepted before: it waits for its group's next epoch, or for room, until its deadline.
  entry.group.clear();
  entry.epoch = {};
}

void router::on_cancel(const cancel& message) {
  if (auto found = records_.find(message.request); found != records_.end())
    fail(found, make_failure(errc::cancelled, "cancelled by the client"), finish_reason::abort);
}

void router::on_grant(const grant& message) {
  auto found = records_.find(message.request);
  if (found == records_.end()) return;
  found->second.stream.grant(message.answers);
  found->second.moved = self_->clock().now();
  deliver(found);
}

void router::on_tokens(tokens_sampled& message) {
  std::vector<answer_piece> pieces;
  for (auto& update : message.updates) {
    auto found = records_.find(update.request);
    if (found == records_.end()) continue;  // it ended here first: cancelled, or a stop string
    auto& entry = found->second;
    if (entry.group != message.group || entry.epoch != message.epoch || entry.ending != finish_reason::none) {
      ++status_.stale_dropped;
      continue;
    }
    apply(entry, update, pieces);
  }
  tell_text(std::move(pieces));
}

/// Appends the tokens of a step by position: one that is there already is dropped, a gap cannot happen.
void router::apply(record& entry, request_update& update, std::vector<answer_piece>& pieces) {
  answer_piece piece{entry.request.id, {}, update.finish != finish_reason::none};
  for (auto& token : update.tokens) {
    if (token.position < entry.request.tokens.size()) {
      ++status_.stale_dropped;
      continue;
    }
    if (token.position > entry.request.tokens.size()) {
      auto found = records_.find(entry.request.id);
      return fail(found, make_failure(errc::engine_failed, fmt::format("the group gave position {} after position {}",
                                                                       token.position, entry.request.tokens.size())));
    }
    if (token.position == entry.request.prompt_tokens) entry.cached_tokens = update.cached_tokens;
    if (std::exchange(entry.resumes, false))
      note(trace_hop::resumed, entry, token.position - entry.request.prompt_tokens);
    entry.request.tokens.push_back(token.token);
    piece.tokens.push_back(token.token);
    auto answer_position = token.position - entry.request.prompt_tokens;
    entry.untold.push_back({answer_position, token.token, token.logprob, std::move(token.top)});
  }
  // The id that ended the sequence is counted and listed, but is no text.
  if (update.finish == finish_reason::stop && !piece.tokens.empty()) piece.tokens.pop_back();
  entry.ending = update.finish;
  pieces.push_back(std::move(piece));
}

void router::tell_text(std::vector<answer_piece> pieces) {
  if (pieces.empty()) return;
  std::vector<request_id> asked;
  for (const auto& piece : pieces)
    asked.push_back(piece.request);
  self_->request(detokenizer_, options_.text_timeout, decode{std::move(pieces)})
      .then([this](text_decoded& message) { on_text(message); },
            [this, asked](const caf::error& reason) {
              for (auto id : asked)
                if (auto found = records_.find(id); found != records_.end())
                  fail(found, make_failure(errc::text_failed, describe(reason)));
            });
}

void router::on_text(text_decoded& message) {
  for (auto& piece : message.pieces) {
    auto found = records_.find(piece.request);
    if (found == records_.end()) continue;
    auto& entry = found->second;
    if (!piece.error.empty()) {
      fail(found, make_failure(errc::text_failed, piece.error));
      continue;
    }
    auto told = entry.untold.begin() + std::min<std::ptrdiff_t>(piece.tokens, std::ssize(entry.untold));
    if (piece.last && !piece.stopped) told = entry.untold.end();  // with the id that ended it and is no text
    answer_event event;
    event.tokens.assign(std::make_move_iterator(entry.untold.begin()), std::make_move_iterator(told));
    entry.untold.erase(entry.untold.begin(), told);
    event.text = std::move(piece.text);
    if (piece.stopped) {
      if (entry.ending == finish_reason::none) abort_in_group(entry);
      entry.request.tokens.resize(entry.request.tokens.size() - entry.untold.size());
      entry.ending = finish_reason::stop;
      event.finish = finish_reason::stop;
    } else if (piece.last) {
      event.finish = entry.ending;
    }
    if (event.finish != finish_reason::none) event.usage = usage_of(entry);
    entry.stream.add(std::move(event));
    deliver(found);
  }
}

/// Sends what the client's credit allows, and forgets the request once its last piece is out.
void router::deliver(record_map::iterator entry) {
  auto& [id, request] = *entry;
  while (auto event = request.stream.take()) {
    request.moved = self_->clock().now();
    if (!event->tokens.empty() && is_noted(event->tokens.front().position, event->tokens.size()))
      note(trace_hop::delivered, request, event->tokens.back().position);
    self_->send(request.sink, answer{request.ticket, id, std::move(*event)});
  }
  if (!request.stream.finished()) return;
  ++status_.completed;
  note(trace_hop::finished, request, request.request.tokens.size() - request.request.prompt_tokens);
  spdlog::debug("request-completed request={} finish={} tokens={}", id.value, to_string(request.ending),
                request.request.tokens.size() - request.request.prompt_tokens);
  forget(entry);
}

/// Ends a request that no group has admitted: the error is the answer to `submit`.
void router::refuse(record_map::iterator entry, const caf::error& reason) {
  ++status_.refused;
  note(trace_hop::failed, entry->second, 0, trace_code(reason));
  entry->second.acceptance.deliver(reason);
  forget(entry);
}

/// Ends an accepted request with one error; it needs no credit, so that a stalled client learns of it too.
void router::fail(record_map::iterator entry, const caf::error& reason, finish_reason how) {
  auto& [id, request] = *entry;
  abort_in_group(request);
  if (request.acceptance.pending()) return refuse(entry, reason);
  ++(how == finish_reason::abort ? status_.cancelled : status_.failed);
  note(trace_hop::failed, request, usage_of(request).completion_tokens, trace_code(reason));
  spdlog::info("request-ended request={} group={} epoch={} reason={} sentence=\"{}\"", id.value, request.group,
               request.epoch.value, code_name(reason), describe(reason));
  answer_event event;
  event.finish = how;
  event.usage = usage_of(request);
  event.error = describe(reason);
  event.error_code = code_name(reason);
  self_->send(request.sink, answer{request.ticket, id, std::move(event)});
  forget(entry);
}

void router::abort_in_group(const record& entry) {
  auto group = groups_.find(entry.group);
  if (group == groups_.end() || group->second.epoch != entry.epoch || entry.ending != finish_reason::none) return;
  self_->send(group->second.leader, abort_request{entry.epoch, entry.request.id});
}

void router::forget(record_map::iterator entry) {
  self_->send(detokenizer_, close_text{entry->first});
  records_.erase(entry);
  if (!records_.empty()) return;
  for (auto& promise : drained_)
    promise.deliver();
  drained_.clear();
}

/// A group whose epoch is over gives its requests back; they go, with the tokens they have, to whichever group serves.
void router::on_groups(serving_groups& message) {
  std::map<std::string, serving_group> groups;
  for (auto& group : message.groups)
    groups.emplace(group.name, std::move(group));
  groups_ = std::move(groups);
  std::vector<request_id> lost;
  for (auto& [id, entry] : records_) {
    if (entry.request.tokens.empty() || entry.ending != finish_reason::none) continue;
    auto group = groups_.find(entry.group);
    if (group != groups_.end() && group->second.epoch == entry.epoch) continue;
    if (message.hopeless) {
      lost.push_back(id);
      continue;
    }
    if (!entry.group.empty()) note(trace_hop::moved, entry, entry.request.tokens.size());
    entry.resumes = true;
    if (!entry.group.empty())
      spdlog::info("request-moved request={} group={} epoch={} tokens={}", id.value, entry.group, entry.epoch.value,
                   entry.request.tokens.size());
    place(entry);
  }
  for (auto id : lost)
    fail(records_.find(id), make_failure(errc::rank_lost, "no group can serve any more: " + message.why));
}

caf::result<void> router::on_drain() {
  status_.draining = true;
  if (records_.empty()) return caf::unit;
  drained_.push_back(self_->make_response_promise<void>());
  return drained_.back();
}

router_status router::on_status() const {
  auto status = status_;
  status.live = records_.size();
  return status;
}

void router::tick() {
  auto now = self_->clock().now();
  for (auto entry = records_.begin(); entry != records_.end();) {
    auto next = std::next(entry);
    auto& request = entry->second;
    if (now >= request.deadline)
      fail(entry, make_failure(errc::deadline_exceeded, "the request's time is over"));
    else if (request.stream.stalled() && now - request.moved >= options_.stall_limit)
      fail(entry, make_failure(errc::client_too_slow,
                               fmt::format("the client took nothing for {} s", options_.stall_limit.count() / 1000)));
    entry = next;
  }
  self_->run_delayed(tick_interval, [this] { tick(); });
}

usage router::usage_of(const record& entry) const {
  const auto& request = entry.request;
  auto prompt = static_cast<std::size_t>(request.prompt_tokens);
  return {request.prompt_tokens,
          static_cast<std::uint32_t>(request.tokens.size() - std::min(prompt, request.tokens.size())),
          entry.cached_tokens};
}

/// `count` is a position where the hop has one.
void router::note(trace_hop hop, const record& entry, std::size_t count, std::uint8_t code) const {
  const auto number = static_cast<std::uint32_t>(count);
  options_.trace({.request = trace_key_of(entry.request.id),
                  .epoch = entry.epoch.value,
                  .position = hop == trace_hop::delivered || hop == trace_hop::resumed ? number : 0,
                  .count = hop == trace_hop::delivered || hop == trace_hop::resumed ? 0 : number,
                  .group = options_.trace.name(entry.group),
                  .hop = hop,
                  .code = code});
}

}  // namespace troupe
