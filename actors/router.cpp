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
constexpr int tokenizer_attempts = 2;

std::chrono::milliseconds since(request_record::time_point then, request_record::time_point now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - then);
}

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
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { on_sink_lost(down.source); });
  tick();
  return {
      [this](submit& message) { return on_submit(message); },
      [this](const cancel& message) { on_cancel(message); },
      [this](const grant& message) { on_grant(message); },
      [this](const acknowledge& message) { on_acknowledge(message); },
      [this](tokens_sampled& message) { on_tokens(message); },
      [this](const trial& message) { return on_trial(message); },
      [this](serving_groups& message) { on_groups(message); },
      [this](text_actors& message) { on_text_actors(message); },
      [this](drain) { return on_drain(); },
      [this](get_status) { return on_status(); },
  };
}

caf::result<accepted> router::on_submit(submit& message) {
  auto fingerprint = fingerprint_of(message.what);
  if (message.key)
    if (auto known = keys_.find(message.key); known != keys_.end())
      return attach(records_.at(known->second), message, fingerprint);
  if (auto fault = find_fault(message, fingerprint)) {
    ++status_.refused;
    return fault;
  }
  request_id id{next_request_++};
  auto& what = message.what;
  auto now = self_->clock().now();
  auto limit = what.deadline_ms == 0 ? options_.request_limit
                                     : std::min(options_.request_limit, std::chrono::milliseconds(what.deadline_ms));
  auto& entry = records_[id];
  entry.id = id;
  entry.key = message.key;
  entry.fingerprint = fingerprint;
  if (entry.key) keys_[entry.key] = id;
  if (what.draw_seed) what.sampling.seed = entry.key ? seed_of(entry.key) : seed_of({id.value, fingerprint});
  entry.drawn_seed = what.draw_seed;
  entry.request = {id, {}, 0, std::move(what.sampling), std::move(what.stops), what.priority, 0};
  entry.stop_strings = std::move(what.stop_strings);
  entry.include_stop = what.include_stop;
  entry.created = entry.moved = now;
  entry.deadline = now + limit;
  if (!message.have.tokens.empty()) ++status_.resumed;
  set_sink(entry, message);
  entry.promised = message.promised || !message.have.tokens.empty();
  entry.have = std::move(message.have.tokens);
  entry.acceptances.push_back(self_->make_response_promise<accepted>());
  auto acceptance = entry.acceptances.back();
  note_request(options_.trace, trace_hop::submitted, entry);
  ask_tokenizer(id, std::move(what.prompt), tokenizer_attempts);
  return acceptance;
}

/// A tokenizer that ended may have ended for reasons of its own: another one is asked. Twice is the prompt's doing.
void router::ask_tokenizer(request_id id, prompt words, int attempts) {
  const auto& worker = tokenizers_[(id.value + static_cast<unsigned>(attempts)) % tokenizers_.size()];
  auto again = attempts > 1 ? std::make_shared<prompt>(words) : nullptr;
  self_->request(worker, options_.text_timeout, tokenize{std::move(words)})
      .then([this, id](tokenized& result) { on_tokenized(id, result); },
            [this, id, again, attempts](const caf::error& reason) {
              auto found = records_.find(id);
              if (found == records_.end()) return;
              if (reason.category() == caf::type_id_v<errc>) return fail(found->second, reason);
              if (again) {  // by then the node has told who took the place of the one that ended
                self_->run_delayed(tick_interval,
                                   [this, id, again, attempts] { ask_tokenizer(id, std::move(*again), attempts - 1); });
                return;
              }
              fail(found->second,
                   make_failure(errc::text_failed, "the prompt ended two tokenizers: " + to_string(reason)));
            });
}

/// A new detokenizer knows nothing: the text of every request is made again from its tokens.
void router::on_text_actors(text_actors& message) {
  tokenizers_ = std::move(message.tokenizers);
  if (detokenizer_ == message.detokenizer) return;
  detokenizer_ = std::move(message.detokenizer);
  for (auto& [id, entry] : records_)
    if (entry.tokenized() && !entry.ended && !entry.text_done) begin_text(entry);
}

/// What can be said without any work for the request comes first.
caf::error router::find_fault(const submit& message, std::uint64_t fingerprint) const {
  const auto& what = message.what;
  if (!message.sink) return make_failure(errc::invalid_request, "the request names no answer sink");
  if (!drained_.empty() || status_.draining)
    return make_failure(errc::draining, fmt::format("node {} is being stopped; ask another node", options_.node));
  if (!what.model.empty() && what.model != options_.model.name)
    return make_failure(errc::model_not_found, fmt::format("model '{}' is not served; this cluster serves '{}'",
                                                           what.model, options_.model.name));
  if (out_of_use_)
    return make_failure(errc::draining, fmt::format("node {} is being drained; ask another node", options_.node));
  if (cut_off_) return make_failure(errc::not_ready, why_not_ + "; ask another node");
  if (groups_.empty())
    return make_failure(errc::not_ready, why_not_.empty()
                                             ? "no group serves yet; `troupe status` says what is waited for"
                                             : "no group serves: " + why_not_);
  if (live() >= options_.live_max)
    return make_failure(errc::queue_full,
                        fmt::format("{} requests are being served and no more may be; try again later", live()));
  if (quarantine_.refuses(fingerprint, self_->clock().now()))
    return make_failure(errc::poison, "this request has crashed a group twice and is refused for 10 minutes");
  if (!message.promised && message.have.tokens.empty())
    if (auto full = find_closed(what.priority)) return full;
  auto stops = what.stops;
  stops.max_tokens = std::max(stops.max_tokens, 1U);  // 0 means up to the end of the context
  for (const auto& fault :
       {find_error(what.sampling, options_.model.vocabulary_size), find_error(stops, options_.model.vocabulary_size),
        stop_matcher::problem_with(what.stop_strings)})
    if (!fault.empty()) return make_failure(errc::invalid_request, fault);
  auto unknown = [this](token_id token) { return token < 0 || token >= options_.model.vocabulary_size; };
  if (message.have.tokens.size() > options_.model.context_tokens ||
      std::any_of(message.have.tokens.begin(), message.have.tokens.end(), unknown))
    return make_failure(errc::invalid_request, "the tokens the client holds are none of this model");
  return {};
}

/// The key is known: the new sink gets the request that there is, from where the client stands.
caf::result<accepted> router::attach(request_record& entry, submit& message, std::uint64_t fingerprint) {
  auto same_seed =
      message.what.draw_seed ? entry.drawn_seed : entry.request.sampling.seed == message.what.sampling.seed;
  if (!message.sink || fingerprint != entry.fingerprint || !same_seed) {
    ++status_.refused;
    return make_failure(
        errc::invalid_request,
        fmt::format("key {} names another request; make a new key for a new request", to_string(entry.key)));
  }
  ++status_.resumed;
  spdlog::debug("request-resumed request={} have={} tokens={}", entry.id.value, message.have.tokens.size(),
                entry.request.tokens.size());
  auto acceptance = acceptance_of(entry);
  entry.promised |= message.promised || !message.have.tokens.empty();
  set_sink(entry, message);
  revive(entry);
  if (entry.failure) {
    auto first = self_->make_response_promise<accepted>();
    first.deliver(acceptance);  // before the answer, which ends the request for whoever asked
    entry.stream.add(*entry.failure);
    deliver(entry);
    return first;
  }
  if (!entry.tokenized()) {
    entry.have = std::move(message.have.tokens);
  } else {
    adopt(entry, message.have.tokens);
    begin_text(entry);
  }
  if (entry.admitted) return acceptance;
  entry.acceptances.push_back(self_->make_response_promise<accepted>());
  return entry.acceptances.back();
}

void router::set_sink(request_record& entry, submit& message) {
  if (entry.sink && entry.sink != message.sink && !entry.ended) {
    answer_event event;
    event.finish = finish_reason::error;
    event.error_code = to_string(errc::superseded);
    event.error = "the client took this answer up elsewhere";
    self_->send(entry.sink, answer{entry.ticket, entry.id, std::move(event)});
  }
  entry.sink = message.sink;
  entry.ticket = message.ticket;
  entry.keep = message.keep && message.key;
  entry.moved = self_->clock().now();
  answer_progress had{static_cast<std::uint32_t>(message.have.tokens.size()), message.have.text_bytes};
  entry.stream = answer_stream{message.credit, had};
  if (watched_.insert(message.sink.address()).second) self_->monitor(message.sink);
}

/// What a client holds was delivered, here or elsewhere, and never changes: where the record differs or is behind, it
/// goes on from what the client holds.
void router::adopt(request_record& entry, const std::vector<token_id>& have) {
  auto& tokens = entry.request.tokens;
  auto output = tokens.begin() + entry.request.prompt_tokens;
  auto common = std::mismatch(have.begin(), have.end(), output, tokens.end()).first - have.begin();
  if (common == std::ssize(have)) return;
  spdlog::warn("request-adopted request={} common={} tokens={} held={}", entry.id.value, common, entry.output_tokens(),
               have.size());
  abort_in_group(entry);
  set_group(entry, nullptr);
  entry.trial_epoch.reset();
  tokens.resize(entry.request.prompt_tokens + static_cast<std::size_t>(common));
  tokens.insert(tokens.end(), have.begin() + common, have.end());
  entry.details.resize(std::min(entry.details.size(), static_cast<std::size_t>(common)));
  entry.ending = finish_reason::none;
  entry.by_string = false;
  place(entry);
}

/// An ended request is delivered once more.
void router::revive(request_record& entry) {
  if (!entry.ended) return;
  entry.ended = false;
  --ended_;
}

void router::on_tokenized(request_id id, tokenized& result) {
  auto found = records_.find(id);
  if (found == records_.end() || found->second.failure) return;
  auto& entry = found->second;
  auto& request = entry.request;
  const auto context = options_.model.context_tokens;
  const auto prompt_tokens = static_cast<std::uint32_t>(result.tokens.size());
  if (result.tokens.empty())
    return refuse(entry, make_failure(errc::invalid_request, "the prompt is empty; give at least one token"));
  if (prompt_tokens >= context)
    return refuse(entry,
                  make_failure(errc::context_length_exceeded,
                               fmt::format("the prompt has {} tokens and the model's context is {} tokens, prompt "
                                           "and answer together; shorten the prompt",
                                           prompt_tokens, context)));
  auto bad = std::find_if(result.tokens.begin(), result.tokens.end(),
                          [&](token_id t) { return t < 0 || t >= options_.model.vocabulary_size; });
  if (bad != result.tokens.end())
    return refuse(entry, make_failure(errc::invalid_request,
                                      fmt::format("the prompt has token id {}, and the model's ids are 0 to {}", *bad,
                                                  options_.model.vocabulary_size - 1)));
  auto room = context - prompt_tokens;
  if (entry.have.size() > room)
    return refuse(entry, make_failure(errc::invalid_request,
                                      fmt::format("the client holds {} tokens and the context has room for {}",
                                                  entry.have.size(), room)));
  request.tokens = std::move(result.tokens);
  request.prompt_tokens = prompt_tokens;
  request.stops.max_tokens = request.stops.max_tokens == 0 ? room : std::min(request.stops.max_tokens, room);
  request.tokens.insert(request.tokens.end(), entry.have.begin(), entry.have.end());
  entry.have = {};
  note_request(options_.trace, trace_hop::tokenized, entry, prompt_tokens);
  begin_text(entry);
  place(entry);
}

accepted router::acceptance_of(const request_record& entry) const {
  return {entry.id, entry.request.prompt_tokens, options_.model.name};
}

void router::on_cancel(const cancel& message) {
  auto found = records_.find(message.request);
  if (found == records_.end() || found->second.ended) return;
  found->second.keep = false;
  fail(found->second, make_failure(errc::cancelled, "cancelled by the client"), finish_reason::abort);
}

void router::on_grant(const grant& message) {
  auto found = records_.find(message.request);
  if (found == records_.end() || found->second.ended) return;
  found->second.stream.grant(message.answers);
  found->second.moved = self_->clock().now();
  deliver(found->second);
}

void router::on_acknowledge(const acknowledge& message) {
  auto found = records_.find(message.request);
  if (found != records_.end() && found->second.ended) forget(message.request);
}

/// A client that may come back leaves its requests running for a while; the others' end with it.
void router::on_sink_lost(const caf::actor_addr& sink) {
  watched_.erase(sink);
  std::vector<request_id> left;
  for (auto& [id, entry] : records_) {
    if (!entry.sink || entry.sink.address() != sink) continue;
    entry.sink = nullptr;
    entry.moved = self_->clock().now();
    if (!entry.keep)
      left.push_back(id);
    else if (entry.text_done && !entry.ended)
      end(entry);  // nothing follows, and nobody is there to take what waits
  }
  for (auto id : left) {
    auto& entry = records_.at(id);
    if (entry.ended)
      forget(id);
    else
      fail(entry, make_failure(errc::cancelled, "the client is gone"), finish_reason::abort);
  }
}

caf::result<void> router::on_drain() {
  status_.draining = true;
  if (live() == 0) return caf::unit;
  drained_.push_back(self_->make_response_promise<void>());
  return drained_.back();
}

router_status router::on_status() const {
  auto status = status_;
  status.live = live();
  std::map<std::string, std::uint64_t> loads;
  for (const auto& [id, entry] : records_)
    if (!entry.ended) ++loads[entry.group];
  for (const auto& [group, count] : loads)
    status.loads.push_back({group, count});
  return status;
}

void router::tick() {
  auto now = self_->clock().now();
  for (auto entry = records_.begin(); entry != records_.end();) {
    auto next = std::next(entry);
    check_limits(entry, now);
    entry = next;
  }
  self_->run_delayed(tick_interval, [this] { tick(); });
}

void router::check_limits(record_map::iterator found, time_point now) {
  auto& entry = found->second;
  if (entry.ended) {
    if (since(entry.moved, now) >= options_.keep_ended || ended_ > options_.ended_max) forget(entry.id);
  } else if (now >= entry.deadline) {
    fail(entry, make_failure(errc::deadline_exceeded, "the request's time is over"));
  } else if (!entry.admitted && entry.group.empty() && since(entry.created, now) >= options_.admission_limit) {
    fail(entry, make_failure(errc::not_ready, fmt::format("no group took the request within {} s; try again later",
                                                          options_.admission_limit.count() / 1000)));
  } else if (!entry.group.empty() && entry.needs_group() && since(entry.heard, now) >= options_.silence_limit) {
    enqueue_at_leader(entry);
  } else if (!entry.sink && since(entry.moved, now) >= options_.return_limit && !entry.text_done) {
    fail(entry, make_failure(errc::cancelled, "the client did not come back"), finish_reason::abort);
  } else if (entry.sink && entry.stream.stalled() && since(entry.moved, now) >= options_.stall_limit) {
    fail(entry, make_failure(errc::client_too_slow,
                             fmt::format("the client took nothing for {} s", options_.stall_limit.count() / 1000)));
  }
}

}  // namespace troupe
