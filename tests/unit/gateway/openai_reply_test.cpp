// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/openai_reply.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/gateway/api_error.hpp"

using namespace troupe;
using nlohmann::json;

namespace {

reply_context context_of(completion_api api, bool logprobs = false) {
  reply_context out;
  out.api = api;
  out.id = std::string("id-1");
  out.created_s = 123;
  out.model = std::string("m");
  out.logprobs = logprobs;
  out.token_bytes = [](token_id token) { return token == 9 ? std::string("\xe2\x82") : fmt::format("t{}", token); };
  return out;
}

answer_token token_of(token_id token) { return {0, token, -0.25F, {{token, -0.25F}, {9, -2.0F}}}; }

}  // namespace

TEST_CASE("a whole chat has OpenAI's shape") {
  reply_choice choice;
  choice.text = "hello";
  choice.finish = finish_reason::length;
  const auto body = json::parse(format_reply(context_of(completion_api::chat), {choice}, {5, 2, 1}));
  CHECK(body == json::parse(R"({"id": "id-1", "object": "chat.completion", "created": 123, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello", "refusal": null}, "logprobs": null,
                 "finish_reason": "length"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 1}}})"));
}

TEST_CASE("a whole text completion has OpenAI's shape, with logprobs") {
  reply_choice choice;
  choice.text = "t1t2";
  choice.finish = finish_reason::stop;
  choice.tokens = {token_of(1), token_of(2)};
  const auto body = json::parse(format_reply(context_of(completion_api::text, true), {choice}, {5, 2, 0}));
  CHECK(body.at("object") == "text_completion");
  CHECK(body.at("choices").at(0).at("text") == "t1t2");
  CHECK(body.at("choices").at(0).at("logprobs") ==
        json::parse(R"({"tokens": ["t1", "t2"], "token_logprobs": [-0.25, -0.25],
    "top_logprobs": [{"t1": -0.25, "\ufffd": -2.0}, {"t2": -0.25, "\ufffd": -2.0}], "text_offset": [0, 2]})"));
}

TEST_CASE("a chat's logprobs carry the bytes of a token that is no whole character") {
  reply_choice choice;
  choice.tokens = {token_of(1)};
  const auto body = json::parse(format_reply(context_of(completion_api::chat, true), {choice}, {}));
  const auto& first = body.at("choices").at(0).at("logprobs").at("content").at(0);
  CHECK(first.at("token") == "t1");
  CHECK(first.at("bytes") == json::parse("[116, 49]"));
  CHECK(first.at("logprob") == -0.25);
  CHECK(first.at("top_logprobs").at(1).at("bytes") == json::parse("[226, 130]"));
}

TEST_CASE("a probability of zero is written as a number") {
  auto choice = reply_choice{};
  choice.tokens = {token_of(1)};
  choice.tokens[0].logprob = -std::numeric_limits<float>::infinity();
  const auto body = json::parse(format_reply(context_of(completion_api::chat, true), {choice}, {}));
  CHECK(body.at("choices").at(0).at("logprobs").at("content").at(0).at("logprob") == -9999.0);
}

TEST_CASE("a chat's stream starts with the role and ends with the reason") {
  const auto context = context_of(completion_api::chat);
  const auto first = json::parse(format_first_chunk(context, 1));
  CHECK(first == json::parse(R"({"id": "id-1", "object": "chat.completion.chunk", "created": 123, "model": "m",
    "choices": [{"index": 1, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null}]})"));
  reply_choice choice;
  answer_event event;
  event.text = "x";
  event.finish = finish_reason::stop;
  const auto chunks = format_chunks(context, 1, event, choice);
  REQUIRE(chunks.size() == 2);
  CHECK(json::parse(chunks[0]).at("choices").at(0).at("delta") == json::parse(R"({"content": "x"})"));
  CHECK(json::parse(chunks[0]).at("choices").at(0).at("finish_reason").is_null());
  CHECK(json::parse(chunks[1]).at("choices").at(0).at("delta") == json::object());
  CHECK(json::parse(chunks[1]).at("choices").at(0).at("finish_reason") == "stop");
  CHECK_FALSE(json::parse(chunks[1]).contains("usage"));
  CHECK(format_chunks(context, 0, {}, choice).empty());
}

TEST_CASE("a stream that was asked for its usage says null until the end") {
  auto context = context_of(completion_api::chat);
  context.include_usage = true;
  CHECK(json::parse(format_first_chunk(context, 0)).at("usage").is_null());
  const auto last = json::parse(format_usage_chunk(context, {3, 4, 0}));
  CHECK(last.at("choices").empty());
  CHECK(last.at("usage").at("total_tokens") == 7);
}

TEST_CASE("a stream's text offsets go on from chunk to chunk") {
  const auto context = context_of(completion_api::text, true);
  reply_choice choice;
  answer_event event;
  event.tokens = {token_of(1), token_of(23)};
  CHECK(json::parse(format_chunks(context, 0, event, choice).at(0))
            .at("choices")
            .at(0)
            .at("logprobs")
            .at("text_offset") == json::parse("[0, 2]"));
  CHECK(json::parse(format_chunks(context, 0, event, choice).at(0))
            .at("choices")
            .at(0)
            .at("logprobs")
            .at("text_offset") == json::parse("[5, 7]"));
}

TEST_CASE("a prompt that several choices share is counted once") {
  std::vector<reply_choice> choices(4);
  for (auto& choice : choices)
    choice.used = {10, 3, 2};
  const auto sum = sum_usage(choices, 2);
  CHECK(sum.prompt_tokens == 20);
  CHECK(sum.completion_tokens == 12);
  CHECK(sum.cached_tokens == 4);
}

TEST_CASE("a server-sent event has one data line for each line") {
  CHECK(format_sse("[DONE]") == "data: [DONE]\n\n");
  CHECK(format_sse("a\nb") == "data: a\ndata: b\n\n");
}

TEST_CASE("an error has OpenAI's shape and its code's status") {
  CHECK(
      json::parse(to_json({"invalid_value", "why", "temperature"})) ==
      json::parse(
          R"({"error": {"message": "why", "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}})"));
  CHECK(json::parse(to_json({"queue_full", "\xff", ""})).at("error").at("param").is_null());
  CHECK(describe_error("context_length_exceeded").status == 400);
  CHECK(describe_error("invalid_api_key").status == 401);
  CHECK(describe_error("model_not_found").status == 404);
  CHECK(describe_error("request_timeout").status == 408);
  CHECK(describe_error("body_too_large").status == 413);
  CHECK(describe_error("queue_full").status == 503);
  CHECK(describe_error("queue_full").retry_after_s > 0);
  CHECK(describe_error("rate_limit_exceeded").status == 429);
  CHECK(describe_error("something new").status == 500);
}
