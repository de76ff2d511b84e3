// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/gateway/openai_request.hpp"
#include "runtime/generation.hpp"

namespace troupe {

/// What every piece of one answer repeats, and how a token is shown.
struct reply_context {
  completion_api api = completion_api::chat;
  std::string id;
  std::int64_t created_s = 0;
  std::string model;
  bool logprobs = false;
  bool include_usage = false;  ///< each chunk then carries usage: null, and one more carries the usage
  std::function<std::string(token_id)> token_bytes;
};

/// One choice of an answer, as far as it has come.
struct reply_choice {
  std::string text;
  std::vector<answer_token> tokens;  ///< kept only for logprobs
  finish_reason finish = finish_reason::none;
  usage used;
  std::size_t offset = 0;  ///< of /v1/completions' logprobs in a stream: characters before the next token
};

/// The sum over the choices; a prompt that several choices share is counted once.
usage sum_usage(const std::vector<reply_choice>& choices, std::uint32_t choices_per_prompt);

/// The body of a whole answer.
std::string format_reply(const reply_context& context, const std::vector<reply_choice>& choices, const usage& used);

/// The chunk that a chat's stream starts with, for each choice; empty for /v1/completions.
std::string format_first_chunk(const reply_context& context, std::size_t index);

/// The chunks that an event becomes: none, one, or one with text and one with the finish reason.
std::vector<std::string> format_chunks(const reply_context& context, std::size_t index, const answer_event& event,
                                       reply_choice& choice);

/// The chunk after the last one, with the usage and no choice.
std::string format_usage_chunk(const reply_context& context, const usage& used);

/// Frames one server-sent event.
std::string format_sse(std::string_view data, std::string_view id = {});

}  // namespace troupe
