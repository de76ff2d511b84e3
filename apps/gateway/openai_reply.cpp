// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/openai_reply.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe {

namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// JSON has no infinity; this is what OpenAI gives for a probability that is as good as none.
double finite(float logprob) { return std::isfinite(logprob) ? static_cast<double>(logprob) : -9999.0; }

/// Valid UTF-8: bytes that are no character of their own are shown as U+FFFD, as in the JSON they go into.
std::string shown(const std::string& bytes) { return json::parse(dump(bytes)).get<std::string>(); }

json bytes_of(const std::string& bytes) {
  json out = json::array();
  for (auto byte : bytes)
    out.push_back(static_cast<unsigned char>(byte));
  return out;
}

json chat_token(const reply_context& context, token_id token, float logprob) {
  const auto bytes = context.token_bytes(token);
  return {{"token", shown(bytes)}, {"logprob", finite(logprob)}, {"bytes", bytes_of(bytes)}};
}

json chat_logprobs(const reply_context& context, const std::vector<answer_token>& tokens) {
  json content = json::array();
  for (const auto& token : tokens) {
    auto entry = chat_token(context, token.token, token.logprob);
    entry["top_logprobs"] = json::array();
    for (const auto& other : token.top)
      entry["top_logprobs"].push_back(chat_token(context, other.token, other.logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

std::size_t count_characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

json text_logprobs(const reply_context& context, const std::vector<answer_token>& tokens, std::size_t& offset) {
  json words = json::array();
  json chosen = json::array();
  json top = json::array();
  json offsets = json::array();
  for (const auto& token : tokens) {
    auto word = shown(context.token_bytes(token.token));
    offsets.push_back(offset);
    offset += count_characters(word);
    words.push_back(std::move(word));
    chosen.push_back(finite(token.logprob));
    json others = json::object();
    for (const auto& other : token.top)
      others[shown(context.token_bytes(other.token))] = finite(other.logprob);
    top.push_back(std::move(others));
  }
  return {{"tokens", std::move(words)},
          {"token_logprobs", std::move(chosen)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

json logprobs_of(const reply_context& context, const std::vector<answer_token>& tokens, std::size_t& offset) {
  if (!context.logprobs || tokens.empty()) return nullptr;
  return context.api == completion_api::chat ? chat_logprobs(context, tokens) : text_logprobs(context, tokens, offset);
}

json usage_of(const usage& used) {
  return {{"prompt_tokens", used.prompt_tokens},
          {"completion_tokens", used.completion_tokens},
          {"total_tokens", std::uint64_t{used.prompt_tokens} + used.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", used.cached_tokens}}}};
}

json finish_of(finish_reason reason) { return reason == finish_reason::none ? json() : json(to_string(reason)); }

json envelope(const reply_context& context, const char* object) {
  return {{"id", context.id}, {"object", object}, {"created", context.created_s}, {"model", context.model}};
}

json chunk_envelope(const reply_context& context) {
  return envelope(context, context.api == completion_api::chat ? "chat.completion.chunk" : "text_completion");
}

std::string format_chunk(const reply_context& context, std::size_t index, json content, json logprobs,
                         finish_reason reason) {
  json choice{{"index", index}};
  choice[context.api == completion_api::chat ? "delta" : "text"] = std::move(content);
  choice["logprobs"] = std::move(logprobs);
  choice["finish_reason"] = finish_of(reason);
  auto out = chunk_envelope(context);
  out["choices"] = json::array({std::move(choice)});
  if (context.include_usage) out["usage"] = nullptr;
  return dump(out);
}

}  // namespace

usage sum_usage(const std::vector<reply_choice>& choices, std::uint32_t choices_per_prompt) {
  usage out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    out.completion_tokens += choices[i].used.completion_tokens;
    if (i % choices_per_prompt != 0) continue;
    out.prompt_tokens += choices[i].used.prompt_tokens;
    out.cached_tokens += choices[i].used.cached_tokens;
  }
  return out;
}

std::string format_reply(const reply_context& context, const std::vector<reply_choice>& choices, const usage& used) {
  const bool chat = context.api == completion_api::chat;
  json list = json::array();
  for (const auto& choice : choices) {
    json entry{{"index", list.size()}};
    if (chat)
      entry["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    else
      entry["text"] = choice.text;
    std::size_t offset = 0;
    entry["logprobs"] = logprobs_of(context, choice.tokens, offset);
    entry["finish_reason"] = finish_of(choice.finish);
    list.push_back(std::move(entry));
  }
  auto out = envelope(context, chat ? "chat.completion" : "text_completion");
  out["choices"] = std::move(list);
  out["usage"] = usage_of(used);
  return dump(out);
}

std::string format_first_chunk(const reply_context& context, std::size_t index) {
  if (context.api != completion_api::chat) return {};
  return format_chunk(context, index, {{"role", "assistant"}, {"content", ""}}, nullptr, finish_reason::none);
}

std::vector<std::string> format_chunks(const reply_context& context, std::size_t index, const answer_event& event,
                                       reply_choice& choice) {
  const bool chat = context.api == completion_api::chat;
  std::vector<std::string> out;
  auto logprobs = logprobs_of(context, event.tokens, choice.offset);
  if (!event.text.empty() || !logprobs.is_null())
    out.push_back(format_chunk(context, index, chat ? json{{"content", event.text}} : json(event.text),
                               std::move(logprobs), finish_reason::none));
  if (event.finish != finish_reason::none)
    out.push_back(format_chunk(context, index, chat ? json::object() : json(""), nullptr, event.finish));
  return out;
}

std::string format_usage_chunk(const reply_context& context, const usage& used) {
  auto out = chunk_envelope(context);
  out["choices"] = json::array();
  out["usage"] = usage_of(used);
  return dump(out);
}

std::string format_sse(std::string_view data, std::string_view id) {
  std::string out;
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  while (true) {
    const auto end = data.find('\n');
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return out + '\n';
}

}  // namespace troupe
