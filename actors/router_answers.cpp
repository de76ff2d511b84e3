// SPDX-License-Identifier: Apache-2.0
// The router's way of tokens to text to the client, and the ends of requests.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/router.hpp"
#include "actors/trace_notes.hpp"
#include "runtime/scheduler/stop_rule.hpp"

namespace troupe {

void router::on_tokens(tokens_sampled& message) {
  auto fenced = fences_.try_emplace(message.group, fence{message.cluster}).first;
  if (fenced->second.judge({message.cluster, message.epoch.value}) != verdict::current) {
    ++status_.stale_dropped;
    return;
  }
  std::vector<answer_piece> pieces;
  for (auto& update : message.updates) {
    auto* entry = find_placement(update.request);
    if (!entry || entry->epoch != message.epoch) {
      ++status_.stale_dropped;
      // Nobody waits for it here: it ended, or went elsewhere while the group was out of sight.
      auto group = groups_.find(message.group);
      if (update.finish == finish_reason::none && group != groups_.end() && group->second.epoch == message.epoch)
        self_->send(group->second.leader, abort_request{message.epoch, update.request, message.cluster});
      continue;
    }
    if (entry->ending == finish_reason::none && !entry->ended) apply(*entry, update, pieces);
  }
  tell_text(std::move(pieces));
}

/// Appends the tokens of a step by position: one that is there already is dropped; before a gap the group is asked
/// again.
void router::apply(request_record& entry, request_update& update, std::vector<answer_piece>& pieces) {
  auto& tokens = entry.request.tokens;
  entry.heard = self_->clock().now();
  auto again = [&] {
    spdlog::warn("request-again request={} group={} epoch={} tokens={}", entry.id.value, entry.group, entry.epoch.value,
                 tokens.size());
    abort_in_group(entry);
    set_group(entry, nullptr);
    place(entry);
  };
  if (update.finish == finish_reason::abort) return again();  // the group gave it up, and nobody here did
  answer_piece piece{entry.id, {}, update.finish != finish_reason::none, entry.fold};
  for (auto& token : update.tokens) {
    if (token.position < tokens.size()) {
      ++status_.stale_dropped;
      if (tokens[token.position] == token.token) continue;
      ++status_.inconsistent;
      spdlog::error("token-inconsistent request={} group={} epoch={} position={} had={} got={}", entry.id.value,
                    entry.group, entry.epoch.value, token.position, tokens[token.position], token.token);
      return fail(entry, make_failure(errc::inconsistent,
                                      fmt::format("position {} came again with another token", token.position)));
    }
    if (token.position > tokens.size()) return again();  // something between was lost on the way
    if (token.position == entry.request.prompt_tokens) entry.cached_tokens = update.cached_tokens;
    note_resumption(options_.trace, entry);
    tokens.push_back(token.token);
    piece.tokens.push_back(token.token);
    if (entry.request.sampling.logprobs >= 0) {
      auto position = token.position - entry.request.prompt_tokens;
      while (entry.details.size() < position)
        entry.details.push_back(entry.token_at(static_cast<std::uint32_t>(entry.details.size())));
      entry.details.push_back({position, token.token, token.logprob, std::move(token.top)});
    }
  }
  // The id that ended the sequence is counted and listed, but is no text.
  if (update.finish == finish_reason::stop && !piece.tokens.empty()) piece.tokens.pop_back();
  entry.ending = update.finish;
  if (entry.ending != finish_reason::none) {
    entry.trial_epoch.reset();
    set_group(entry, nullptr);
  }
  pieces.push_back(std::move(piece));
}

/// A resumed request may have had its end already: nothing more is asked of a group for it.
bool router::finish_if_complete(request_record& entry) {
  const auto& request = entry.request;
  if (entry.output_tokens() == 0 || entry.ending != finish_reason::none) return entry.ending != finish_reason::none;
  if (is_stop(request.tokens.back(), request.stops, options_.model.eos_ids))
    entry.ending = finish_reason::stop;
  else if (entry.output_tokens() >= request.stops.max_tokens)
    entry.ending = finish_reason::length;
  else
    return false;
  if (!entry.admitted) {
    ++status_.accepted;
    entry.admitted = true;
    for (auto& promise : std::exchange(entry.acceptances, {}))
      promise.deliver(acceptance_of(entry));
  }
  begin_text(entry);
  return true;
}

/// The text of all tokens so far, from nothing; what the client has of it is not sent again.
void router::begin_text(request_record& entry) {
  ++entry.fold;
  entry.told = 0;
  entry.bytes = 0;
  entry.text_done = false;
  self_->send(detokenizer_, open_text{entry.id, entry.stop_strings, entry.include_stop, entry.fold});
  auto last = entry.ending != finish_reason::none;
  if (entry.output_tokens() == 0 && !last) return;
  answer_piece piece{entry.id, {}, last, entry.fold};
  piece.tokens.assign(entry.request.tokens.begin() + entry.request.prompt_tokens, entry.request.tokens.end());
  if (entry.ending == finish_reason::stop && !entry.by_string && !piece.tokens.empty()) piece.tokens.pop_back();
  std::vector<answer_piece> pieces;
  pieces.push_back(std::move(piece));
  tell_text(std::move(pieces));
}

void router::tell_text(std::vector<answer_piece> pieces) {
  if (pieces.empty()) return;
  std::vector<std::pair<request_id, std::uint32_t>> asked;
  for (const auto& piece : pieces)
    asked.emplace_back(piece.request, piece.fold);
  self_->request(detokenizer_, options_.text_timeout, decode{std::move(pieces)})
      .then([this](text_decoded& message) { on_text(message); },
            [this, asked](const caf::error& reason) {
              // It has ended: the node tells who takes its place, and the text is begun again there.
              if (reason.category() != caf::type_id_v<errc> && reason != caf::sec::request_timeout) return;
              for (auto [id, fold] : asked)
                if (auto found = records_.find(id); found != records_.end() && found->second.fold == fold)
                  fail(found->second, make_failure(errc::text_failed, describe(reason)));
            });
}

void router::on_text(text_decoded& message) {
  for (auto& piece : message.pieces) {
    auto found = records_.find(piece.request);
    // Of an older fold: the text was begun again meanwhile.
    if (found == records_.end() || found->second.fold != piece.fold || found->second.text_done) continue;
    on_piece(found->second, piece);
  }
}

void router::on_piece(request_record& entry, decoded_piece& piece) {
  if (!piece.error.empty()) return fail(entry, make_failure(errc::text_failed, piece.error));
  auto end = std::min(entry.told + piece.tokens, entry.output_tokens());
  if (piece.last && !piece.stopped) end = entry.output_tokens();  // with the id that ended it and is no text
  answer_event event;
  for (auto position = entry.told; position < end; ++position)
    event.tokens.push_back(entry.token_at(position));
  entry.told = end;
  event.text_offset = entry.bytes;
  event.text = std::move(piece.text);
  entry.bytes += event.text.size();
  if (piece.stopped) {
    abort_in_group(entry);
    set_group(entry, nullptr);
    entry.request.tokens.resize(entry.request.prompt_tokens + entry.told);
    entry.details.resize(std::min<std::size_t>(entry.details.size(), entry.told));
    entry.ending = finish_reason::stop;
    entry.by_string = true;
    event.finish = finish_reason::stop;
  } else if (piece.last) {
    event.finish = entry.ending;
  }
  if (event.finish != finish_reason::none) {
    event.usage = usage_of(entry);
    entry.text_done = true;
  }
  entry.stream.add(std::move(event));
  deliver(entry);
}

/// Sends what the client's credit allows; a request whose last piece is out has ended.
void router::deliver(request_record& entry) {
  if (!entry.sink) {
    if (entry.text_done) end(entry);
    return;
  }
  while (auto event = entry.stream.take()) {
    entry.moved = self_->clock().now();
    note_delivery(options_.trace, entry, event->tokens);
    self_->send(entry.sink, answer{entry.ticket, entry.id, std::move(*event)});
  }
  if (entry.stream.finished()) end(entry);
}

/// Ends a request that no group has admitted: the error is the answer to `submit`.
void router::refuse(request_record& entry, const caf::error& reason) {
  ++status_.refused;
  note_request(options_.trace, trace_hop::failed, entry, 0, trace_code(reason));
  abort_in_group(entry);
  for (auto& promise : std::exchange(entry.acceptances, {}))
    promise.deliver(reason);
  forget(entry.id);
}

/// Ends an accepted request with one error; it needs no credit, so that a stalled client learns of it too.
void router::fail(request_record& entry, const caf::error& reason, finish_reason how) {
  if (!entry.acceptances.empty()) return refuse(entry, reason);
  abort_in_group(entry);
  ++(how == finish_reason::abort ? status_.cancelled : status_.failed);
  entry.counted = true;
  note_request(options_.trace, trace_hop::failed, entry, entry.tokenized() ? entry.output_tokens() : 0,
               trace_code(reason));
  spdlog::info("request-ended request={} group={} epoch={} reason={} sentence=\"{}\"", entry.id.value, entry.group,
               entry.epoch.value, code_name(reason), describe(reason));
  answer_event event;
  event.finish = how;
  if (entry.tokenized()) event.usage = usage_of(entry);
  event.text_offset = entry.bytes;
  event.error = describe(reason);
  event.error_code = code_name(reason);
  if (entry.sink) self_->send(entry.sink, answer{entry.ticket, entry.id, event});
  entry.failure = std::move(event);
  entry.text_done = true;
  end(entry);
}

/// The client has been told the end, or is gone; one that may ask for it again finds it here until it acknowledges.
void router::end(request_record& entry) {
  if (!entry.counted) {
    ++status_.completed;
    note_request(options_.trace, trace_hop::finished, entry, entry.output_tokens());
    spdlog::debug("request-completed request={} finish={} tokens={}", entry.id.value, to_string(entry.ending),
                  entry.output_tokens());
  }
  entry.counted = true;
  set_group(entry, nullptr);
  entry.moved = self_->clock().now();
  if (!entry.ended) ++ended_;
  entry.ended = true;
  self_->send(detokenizer_, close_text{entry.id});
  if (!entry.keep) forget(entry.id);
  if (live() > 0) return;
  for (auto& promise : std::exchange(drained_, {}))
    promise.deliver();
}

void router::forget(request_id id) {
  auto found = records_.find(id);
  if (found == records_.end()) return;
  auto& entry = found->second;
  if (entry.ended)
    --ended_;
  else
    self_->send(detokenizer_, close_text{id});
  set_group(entry, nullptr);
  if (entry.key) keys_.erase(entry.key);
  records_.erase(found);
  if (live() > 0) return;
  for (auto& promise : std::exchange(drained_, {}))
    promise.deliver();
}

usage router::usage_of(const request_record& entry) const {
  return {entry.request.prompt_tokens, entry.output_tokens(), entry.cached_tokens};
}

}  // namespace troupe
