// SPDX-License-Identifier: Apache-2.0
#include "runtime/resumption.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe {
namespace {

bool is_one_of(const std::string& code, std::initializer_list<const char*> codes) {
  return std::any_of(codes.begin(), codes.end(), [&](const char* each) { return code == each; });
}

/// The request itself is not at fault: another router, or the same one later, may take it.
bool is_passing(const std::string& code) {
  return is_one_of(code, {"not_ready", "draining", "rank_lost", "queue_full", "overloaded", "stale_epoch"});
}

bool is_overload(const std::string& code) { return is_one_of(code, {"queue_full", "overloaded"}); }

}  // namespace

resumption::resumption(generation what, request_key key, resumption_options options, time_point now,
                       std::vector<token_id> tokens, std::uint64_t text_bytes, bool accepted)
    : what_(std::move(what)), key_(key), options_(options), due_(now), heard_(now) {
  auto limit = what_.deadline_ms == 0 ? options_.deadline : std::chrono::milliseconds(what_.deadline_ms);
  deadline_ = now + limit;
  tokens_ = std::move(tokens);
  had_ = {static_cast<std::uint32_t>(tokens_.size()), text_bytes};
  accepted_ = accepted || !tokens_.empty();
}

resumption::step resumption::next(time_point now) {
  if (phase_ != phase::ended && phase_ != phase::failing && now >= deadline_)
    fail("deadline_exceeded", "the request's time is over");
  if (phase_ == phase::asking && now - heard_ >= options_.answer_limit)
    lose(fmt::format("the router did not answer within {} ms", options_.answer_limit.count()), now);
  if (phase_ == phase::running && now - heard_ >= options_.silence_limit) ask_at(now);
  switch (phase_) {
    case phase::failing:
      phase_ = phase::ended;
      return failure_;
    case phase::ended:
      return rest{time_point::max()};
    case phase::asking:
      return rest{std::min(deadline_, heard_ + options_.answer_limit)};
    case phase::running:
      return rest{std::min(deadline_, heard_ + options_.silence_limit)};
    case phase::due:
      break;
  }
  if (now < due_) return rest{std::min(deadline_, due_)};
  phase_ = phase::asking;
  heard_ = now;
  return make_submission(now);
}

std::optional<resumption::submission> resumption::ask_again(time_point now) {
  if (phase_ != phase::asking) return std::nullopt;
  heard_ = now;
  return make_submission(now);
}

resumption::submission resumption::make_submission(time_point now) const {
  submission ask{door_, what_, key_, tokens_, had_.text_bytes, accepted_};
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - now).count();
  ask.what.deadline_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1));
  return ask;
}

void resumption::ask_at(time_point when) {
  phase_ = phase::due;
  due_ = when;
}

void resumption::fail(std::string code, std::string sentence, std::chrono::milliseconds retry_after) {
  phase_ = phase::failing;
  failure_ = {std::move(code), std::move(sentence), retry_after};
}

void resumption::accept(time_point now) {
  if (phase_ != phase::asking) return;
  phase_ = phase::running;
  heard_ = now;
  lost_since_.reset();
  failures_ = 0;
  accepted_ = true;
}

void resumption::refuse(const std::string& code, const std::string& sentence, std::chrono::milliseconds retry_after,
                        retry_budget& budget, time_point now) {
  if (phase_ == phase::ended || phase_ == phase::failing) return;
  lost_since_.reset();  // somebody is there
  given_up_ = code == "rank_lost" ? given_up_ + 1 : 0;
  if (!is_passing(code) || given_up_ >= options_.doors) return fail(code, sentence, retry_after);
  // What no router has taken yet is asked for once at each door; the client itself may ask again later.
  if (!accepted_ && (failures_ + 1 >= options_.doors || (is_overload(code) && !budget.take())))
    return fail(code, sentence, retry_after);
  turn_to_next_door(now);
  if (accepted_) due_ = std::max(due_, now + std::min(retry_after, options_.pause_max));
}

void resumption::lose(const std::string& sentence, time_point now) {
  if (phase_ == phase::ended || phase_ == phase::failing) return;
  if (!lost_since_) lost_since_ = now;
  if (now - *lost_since_ >= options_.unreachable_limit)
    return fail("rank_lost", fmt::format("the router was lost and none answered for {} s: {}",
                                         options_.unreachable_limit.count() / 1000, sentence));
  turn_to_next_door(now);
}

/// The first time round at once, then with pauses that grow.
void resumption::turn_to_next_door(time_point now) {
  door_ = (door_ + 1) % options_.doors;
  auto rounds = ++failures_ / options_.doors;
  if (rounds == 0) return ask_at(now);
  auto pause = options_.pause_min * (std::int64_t{1} << std::min<std::size_t>(rounds - 1, 10));
  ask_at(now + std::min(pause, options_.pause_max));
}

/// A token that was had may come again, and must then be the same.
bool resumption::keeps_promise(const answer_event& piece) const {
  return std::all_of(piece.tokens.begin(), piece.tokens.end(), [this](const answer_token& token) {
    return token.position >= tokens_.size() || tokens_[token.position] == token.token;
  });
}

std::optional<answer_event> resumption::take(answer_event piece, retry_budget& budget, time_point now) {
  if (phase_ == phase::ended || phase_ == phase::failing) return std::nullopt;
  heard_ = now;
  if (!keeps_promise(piece)) {
    fail("inconsistent", "a token that was delivered already came again as another one");
    return std::nullopt;
  }
  auto failed = piece.finish == finish_reason::error || piece.finish == finish_reason::abort;
  if (failed && is_passing(piece.error_code)) {  // the router has lost its groups
    refuse(piece.error_code, piece.error, std::chrono::milliseconds{0}, budget, now);
    return std::nullopt;
  }
  if (failed && piece.error_code == "cancelled") {  // nobody here did: the router believed this client to be gone
    turn_to_next_door(now);
    return std::nullopt;
  }
  if (!had_.take(piece)) {
    ask_at(now);  // something between was lost: from what is held, again
    return std::nullopt;
  }
  for (const auto& token : piece.tokens)
    tokens_.push_back(token.token);
  if (piece.finish != finish_reason::none) {
    if (!failed && piece.usage.completion_tokens > tokens_.size()) {
      ask_at(now);
      return std::nullopt;
    }
    phase_ = phase::ended;
  }
  if (piece.tokens.empty() && piece.text.empty() && piece.finish == finish_reason::none) return std::nullopt;
  return piece;
}

}  // namespace troupe
