// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/completion_exchange.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe {

namespace {

namespace asio = boost::asio;

/// What one more token with its logprobs takes in an answer that is not streamed.
std::size_t size_of(const answer_event& event, bool logprobs) {
  auto bytes = event.text.size();
  if (logprobs)
    for (const auto& token : event.tokens)
      bytes += 64 * (1 + token.top.size());
  return bytes;
}

}  // namespace

completion_exchange::completion_exchange(connection& client, completion_service& service, const gateway_limits& limits,
                                         completion_request request, completion_name name, reply_context context,
                                         reply_style style)
    : client_(client),
      service_(service),
      limits_(limits),
      request_(std::move(request)),
      name_(std::move(name)),
      context_(std::move(context)),
      style_(std::move(style)),
      deadline_(connection::clock::now() + limits.request_time),
      inbox_(std::make_shared<reply_inbox>(client.notifier())),
      choices_(request_.generations.size()),
      sent_(name_.from) {
  sent_.choices.resize(choices_.size());
}

completion_exchange::~completion_exchange() {
  inbox_->close();
  for (const auto& one : pending_)
    if (!one.finished) name_.may_return ? service_.leave(one.ticket) : service_.cancel(one.ticket);
}

void completion_exchange::submit() {
  for (std::size_t i = 0; i < request_.generations.size(); ++i) {
    auto what = request_.generations[i];
    what.deadline_ms = static_cast<std::uint64_t>(limits_.request_time.count());
    pending one;
    one.ticket =
        service_.submit(std::move(what), key_of_choice(sent_.key, i), limits_.event_credit, inbox_->callbacks_for(i));
    pending_.push_back(one);
  }
}

asio::awaitable<completion_exchange::outcome> completion_exchange::run() {
  submit();
  auto finished = [](const pending& x) { return x.finished; };
  while (!error_ && !std::all_of(pending_.begin(), pending_.end(), finished)) {
    const bool received = co_await receive();
    if (!received) co_return conclude(false);
    const bool written = co_await client_.flush();
    if (!written) co_return conclude(false);
    give_credit();
  }
  if (error_ && !streaming_) {
    client_.send(format_http_error(*error_, style_));
  } else if (error_) {
    // The status went out long ago. Without [DONE] no client takes the answer for a whole one.
    client_.send(format_stream_piece(format_sse(to_json(*error_)), style_));
    client_.send(format_stream_end(style_));
  } else if (streaming_) {
    end_stream();
  } else {
    client_.send(format_http_reply(
        200, format_reply(context_, choices_, sum_usage(choices_, request_.choices_per_prompt)), style_));
  }
  const bool written = co_await client_.flush();
  co_return conclude(written);
}

asio::awaitable<bool> completion_exchange::receive() {
  while (true) {
    auto items = inbox_->take();
    for (auto& item : items)
      if (!error_) apply(std::move(item));
    if (!items.empty()) co_return true;
    // Watched from the first moment on, so a client that leaves before the first token costs no more steps.
    if (client_.peer_gone()) co_return false;
    co_await client_.wait(deadline_);
    if (connection::clock::now() >= deadline_) {
      fail({"deadline_exceeded",
            fmt::format("the answer took longer than {} ms; ask for fewer tokens", limits_.request_time.count()), ""});
      co_return true;
    }
  }
}

void completion_exchange::apply(reply_item item) {
  auto& one = pending_[item.choice];
  if (auto* refusal = std::get_if<completion_refusal>(&item.what)) {
    one.finished = true;
    fail({std::move(refusal->code), std::move(refusal->message), "", refusal->retry_after_s});
  } else if (auto* event = std::get_if<answer_event>(&item.what)) {
    apply_event(item.choice, std::move(*event));
  } else {
    one.accepted = true;
    // Before all are accepted a refusal can still have its own HTTP status.
    auto accepted = [](const pending& x) { return x.accepted; };
    if (request_.stream && std::all_of(pending_.begin(), pending_.end(), accepted)) begin_stream();
  }
}

void completion_exchange::apply_event(std::size_t index, answer_event event) {
  auto& one = pending_[index];
  if (one.finished) return;
  ++one.taken;
  one.finished = event.finish != finish_reason::none;
  tokens_made_ += event.tokens.size();
  if (event.finish == finish_reason::error)
    return fail({event.error_code.empty() ? "internal" : event.error_code, std::move(event.error), ""});
  if (event.finish == finish_reason::abort)
    return fail({event.error_code.empty() ? "aborted" : event.error_code,
                 event.error.empty() ? "the server ended the answer early; ask again" : std::move(event.error), ""});
  auto& choice = choices_[index];
  if (!name_.from.choices.empty() && !name_.from.choices[index].skip(event)) return;
  if (one.finished) {
    choice.finish = event.finish;
    choice.used = event.usage;
  }
  if (streaming_) return stream_event(index, event);
  answer_bytes_ += size_of(event, context_.logprobs);
  if (answer_bytes_ > limits_.answer_bytes)
    return fail({"response_too_large",
                 fmt::format("the answer is larger than {} bytes; give stream true, or ask for fewer tokens",
                             limits_.answer_bytes),
                 ""});
  choice.text += event.text;
  if (context_.logprobs) std::move(event.tokens.begin(), event.tokens.end(), std::back_inserter(choice.tokens));
}

void completion_exchange::begin_stream() {
  streaming_ = true;
  client_.send(format_stream_header(style_));
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const auto begins = name_.from.choices.empty();
    if (auto first = format_first_chunk(context_, i); begins && !first.empty())
      client_.send(format_stream_piece(format_sse(first), style_));
    // A choice may have begun while another was not yet accepted.
    answer_event early;
    early.text = std::exchange(choices_[i].text, {});
    early.tokens = std::exchange(choices_[i].tokens, {});
    early.finish = choices_[i].finish;
    stream_event(i, early);
  }
}

void completion_exchange::stream_event(std::size_t index, const answer_event& event) {
  auto& sent = sent_.choices[index];
  if (sent.finished) return;  // of a stream that is taken up again behind this choice's end
  const auto chunks = format_chunks(context_, index, event, choices_[index]);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    // The position goes with the last chunk of an event: what came before it would come again.
    if (i + 1 == chunks.size()) sent.count(event);
    const auto id = i + 1 == chunks.size() ? to_string(sent_) : std::string{};
    client_.send(format_stream_piece(format_sse(chunks[i], id), style_));
  }
  if (chunks.empty()) sent.count(event);
}

void completion_exchange::end_stream() {
  if (request_.include_usage)
    client_.send(format_stream_piece(
        format_sse(format_usage_chunk(context_, sum_usage(choices_, request_.choices_per_prompt))), style_));
  client_.send(format_stream_piece(format_sse("[DONE]"), style_));
  client_.send(format_stream_end(style_));
}

void completion_exchange::fail(api_error error) {
  if (error.message.empty()) error.message = "the server could not answer; ask again";
  if (!error_) error_ = std::move(error);
}

void completion_exchange::give_credit() {
  for (auto& one : pending_)
    if (one.taken != 0 && !one.finished) service_.credit(one.ticket, std::exchange(one.taken, 0));
}

completion_exchange::outcome completion_exchange::conclude(bool written) const {
  outcome out;
  out.used = sum_usage(choices_, request_.choices_per_prompt);
  out.tokens = out.used.prompt_tokens + std::max<std::uint64_t>(out.used.completion_tokens, tokens_made_);
  out.keep_alive = written && !(error_ && streaming_) && style_.keep_alive;
  if (!written)
    out.ended = client_.stalled() ? "client-stalled" : "client-left";
  else
    out.ended = error_ ? error_->code : "done";
  return out;
}

}  // namespace troupe
