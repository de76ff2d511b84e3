// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/sampling_params.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// One message of a conversation.
struct chat_message {
  std::string role;  ///< system, user or assistant
  std::string content;
  friend bool operator==(const chat_message&, const chat_message&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, chat_message& x) {
  return f.object(x).fields(f.field("role", x.role), f.field("content", x.content));
}

enum class prompt_kind : std::uint8_t { text, chat, tokens };

template <class Inspector>
bool inspect(Inspector& f, prompt_kind& x) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t value) {
    if (value > static_cast<std::uint8_t>(prompt_kind::tokens)) return false;
    x = static_cast<prompt_kind>(value);
    return true;
  };
  return f.apply(get, set);
}

/// What is to be continued, in the one form that `kind` names; the other fields are empty.
struct prompt {
  prompt_kind kind = prompt_kind::text;
  std::string text;
  std::vector<chat_message> messages;
  std::vector<token_id> tokens;
};

template <class Inspector>
bool inspect(Inspector& f, prompt& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("text", x.text), f.field("messages", x.messages),
                            f.field("tokens", x.tokens));
}

/// What a client asks for. The router checks it against the model before it accepts.
struct generation {
  std::string model;  ///< empty: whatever is served
  troupe::prompt prompt;
  sampling_params sampling;
  bool draw_seed = false;  ///< sampling.seed is not looked at: the seed is drawn from the request's key
  stop_conditions stops;   ///< max_tokens 0: up to the end of the context
  std::vector<std::string> stop_strings;
  bool include_stop = false;      ///< keep the stop string in the text
  std::int32_t priority = 0;      ///< a greater one is served first
  std::uint64_t deadline_ms = 0;  ///< from acceptance to the last token; 0: the server's limit
};

template <class Inspector>
bool inspect(Inspector& f, generation& x) {
  return f.object(x).fields(f.field("model", x.model), f.field("prompt", x.prompt), f.field("sampling", x.sampling),
                            f.field("draw_seed", x.draw_seed), f.field("stops", x.stops),
                            f.field("stop_strings", x.stop_strings), f.field("include_stop", x.include_stop),
                            f.field("priority", x.priority), f.field("deadline_ms", x.deadline_ms));
}

/// One token of an answer.
struct answer_token {
  std::uint32_t position = 0;  ///< 0 is the first generated token
  token_id token = 0;
  float logprob = 0;  ///< natural log; 0 when not asked for
  std::vector<token_logprob> top;
};

template <class Inspector>
bool inspect(Inspector& f, answer_token& x) {
  return f.object(x).fields(f.field("position", x.position), f.field("token", x.token), f.field("logprob", x.logprob),
                            f.field("top", x.top));
}

struct usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t cached_tokens = 0;  ///< prompt tokens whose KV was reused
};

template <class Inspector>
bool inspect(Inspector& f, usage& x) {
  return f.object(x).fields(f.field("prompt_tokens", x.prompt_tokens),
                            f.field("completion_tokens", x.completion_tokens),
                            f.field("cached_tokens", x.cached_tokens));
}

/// A piece of an answer. Tokens may precede the text they become: a character can need several. Several steps are
/// merged into one event when the reader is slower than the model. The last event has a finish reason other than none.
struct answer_event {
  std::vector<answer_token> tokens;
  std::string text;               ///< whole characters only
  std::uint64_t text_offset = 0;  ///< bytes of the answer's text before this piece
  finish_reason finish = finish_reason::none;
  troupe::usage usage;     ///< in the last event
  std::string error;       ///< with finish_reason::error: one sentence
  std::string error_code;  ///< and its name in actors/errors.hpp
};

template <class Inspector>
bool inspect(Inspector& f, answer_event& x) {
  return f.object(x).fields(f.field("tokens", x.tokens), f.field("text", x.text), f.field("text_offset", x.text_offset),
                            f.field("finish", x.finish), f.field("usage", x.usage), f.field("error", x.error),
                            f.field("error_code", x.error_code));
}

}  // namespace troupe
