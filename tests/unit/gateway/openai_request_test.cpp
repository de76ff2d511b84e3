// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/openai_request.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

const served_model model{"m", 0, 100, 50};

completion_request read(completion_api api, const std::string& body) {
  auto parsed = parse_completion_request(api, body, model, 77);
  if (auto* error = std::get_if<api_error>(&parsed)) FAIL(error->message);
  return std::get<completion_request>(std::move(parsed));
}

api_error refuse(completion_api api, const std::string& body) {
  INFO(body);
  auto parsed = parse_completion_request(api, body, model, 77);
  REQUIRE(std::holds_alternative<api_error>(parsed));
  return std::get<api_error>(parsed);
}

std::string chat(const std::string& more) {
  return R"({"model": "m", "messages": [{"role": "user", "content": "hi"}])" + (more.empty() ? "" : ", " + more) + "}";
}
std::string text(const std::string& more) {
  return R"({"model": "m", "prompt": "hi")" + (more.empty() ? "" : ", " + more) + "}";
}
completion_request read_chat(const std::string& more) { return read(completion_api::chat, chat(more)); }
completion_request read_text(const std::string& more) { return read(completion_api::text, text(more)); }

struct wrong {
  const char* field;
  const char* code;
  const char* param;
  const char* message;
};

}  // namespace

TEST_CASE("a chat with nothing but messages has OpenAI's defaults") {
  auto request = read_chat("");
  REQUIRE(request.generations.size() == 1);
  const auto& one = request.generations[0];
  CHECK(one.model == "m");
  CHECK(one.prompt.kind == prompt_kind::chat);
  CHECK(one.prompt.messages == std::vector<chat_message>{{"user", "hi"}});
  sampling_params defaults;
  defaults.seed = 77;
  CHECK(one.sampling == defaults);
  CHECK(one.stops == stop_conditions{0, {}, false});
  CHECK_FALSE(request.stream);
  CHECK_FALSE(request.wants_logprobs());
}

TEST_CASE("a text completion with nothing but a prompt gives sixteen tokens") {
  auto request = read_text("");
  CHECK(request.generations.at(0).prompt.kind == prompt_kind::text);
  CHECK(request.generations.at(0).prompt.text == "hi");
  CHECK(request.generations.at(0).stops.max_tokens == 16);
}

TEST_CASE("every field arrives where it belongs") {
  auto request = read_chat(
      R"("temperature": 0.5, "top_p": 0.25, "top_k": 3, "min_p": 0.125, "presence_penalty": -1, "frequency_penalty": 2,
         "repetition_penalty": 1.5, "seed": 42, "logit_bias": {"7": -100, "8": 1.5}, "logprobs": true, "top_logprobs": 5,
         "max_tokens": 9, "ignore_eos": true, "stop": ["a", "b"], "stop_token_ids": [1, 2], "include_stop_str_in_output": true,
         "priority": 3, "stream": true, "stream_options": {"include_usage": true})");
  const auto& one = request.generations.at(0);
  CHECK(one.sampling == sampling_params{0.5F, 3, 0.25F, 0.125F, 1.5F, -1, 2, {{7, -100.F}, {8, 1.5F}}, 42, 5});
  CHECK(one.stops == stop_conditions{9, {1, 2}, true});
  CHECK(one.stop_strings == std::vector<std::string>{"a", "b"});
  CHECK(one.include_stop);
  CHECK(one.priority == 3);
  CHECK(request.stream);
  CHECK(request.include_usage);
  CHECK(read_chat(R"("max_completion_tokens": 9)").generations[0].stops.max_tokens == 9);
  CHECK(read_chat(R"("top_k": -1)").generations[0].sampling.top_k == 0);
  CHECK(read_chat(R"("stop": "x")").generations[0].stop_strings == std::vector<std::string>{"x"});
  CHECK(read_chat(R"("logprobs": true)").generations[0].sampling.logprobs == 0);
  CHECK(read_text(R"("logprobs": 3)").generations[0].sampling.logprobs == 3);
  CHECK(read_chat(R"("seed": -1)").generations[0].sampling.seed == UINT64_MAX);
  CHECK(read_chat(R"("temperature": null, "stop": null, "seed": null)").generations[0].sampling.seed == 77);
}

TEST_CASE("messages may come in parts and with OpenAI's newer role") {
  auto request = read(completion_api::chat,
                      R"({"model": "m", "messages": [{"role": "developer", "content": "d"},
      {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": "c", "refusal": null, "annotations": [], "tool_calls": null}]})");
  CHECK(request.generations[0].prompt.messages ==
        std::vector<chat_message>{{"system", "d"}, {"user", "ab"}, {"assistant", "c"}});
}

TEST_CASE("prompts may be texts or token ids, one or several") {
  auto several = read(completion_api::text, R"({"model": "m", "prompt": ["a", "b"], "n": 2, "seed": 5})");
  REQUIRE(several.generations.size() == 4);
  CHECK(several.choices_per_prompt == 2);
  CHECK(several.generations[1].prompt.text == "a");
  CHECK(several.generations[2].prompt.text == "b");
  CHECK(several.generations[0].sampling.seed == 5);
  CHECK(several.generations[1].sampling.seed != 5);
  CHECK(several.generations[2].sampling.seed == 5);
  auto ids = read(completion_api::text, R"({"model": "m", "prompt": [1, 49, 0]})");
  CHECK(ids.generations.at(0).prompt.kind == prompt_kind::tokens);
  CHECK(ids.generations.at(0).prompt.tokens == std::vector<token_id>{1, 49, 0});
  CHECK(
      read(completion_api::text, R"({"model": "m", "prompt": [[1], [2, 3]]})").generations.at(1).prompt.tokens.size() ==
      2);
}

TEST_CASE("fields that say nothing about the answer, or ask for nothing, pass") {
  read_chat(R"("user": "u", "metadata": {"a": "b"}, "store": true, "service_tier": "auto", "safety_identifier": "x")");
  read_chat(R"("tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "parallel_tool_calls": false)");
  read_text(R"("echo": false, "suffix": null, "best_of": 1)");
}

TEST_CASE("a wrong field of a chat is refused by name, with what would be right") {
  const wrong table[] = {
      {R"("temperature": 3)", "invalid_value", "temperature", "temperature is 3 and must be a number between 0 and 2"},
      {R"("temperature": -0.1)", "invalid_value", "temperature",
       "temperature is -0.1 and must be a number between 0 and 2"},
      {R"("temperature": "hot")", "invalid_type", "temperature",
       "temperature is a string and must be a number between 0 and 2"},
      {R"("temperature": true)", "invalid_type", "temperature",
       "temperature is a boolean and must be a number between 0 and 2"},
      {R"("top_p": 0)", "invalid_value", "top_p",
       "top_p is 0 and must be above 0 and at most 1; temperature 0 gives the likeliest token"},
      {R"("top_p": 1.5)", "invalid_value", "top_p", "top_p is 1.5 and must be a number between 0 and 1"},
      {R"("top_k": 1.5)", "invalid_type", "top_k", "top_k is a fraction and must be an integer between -1 and 50"},
      {R"("top_k": 51)", "invalid_value", "top_k", "top_k is 51 and must be an integer between -1 and 50"},
      {R"("top_k": 99999999999999999999)", "invalid_type", "top_k",
       "top_k is a fraction and must be an integer between -1 and 50"},
      {R"("min_p": 2)", "invalid_value", "min_p", "min_p is 2 and must be a number between 0 and 1"},
      {R"("presence_penalty": 2.5)", "invalid_value", "presence_penalty",
       "presence_penalty is 2.5 and must be a number between -2 and 2"},
      {R"("frequency_penalty": -3)", "invalid_value", "frequency_penalty",
       "frequency_penalty is -3 and must be a number between -2 and 2"},
      {R"("repetition_penalty": 0)", "invalid_value", "repetition_penalty",
       "repetition_penalty is 0 and must be above 0 and at most 2"},
      {R"("seed": 1.5)", "invalid_type", "seed", "seed is a fraction and must be an integer of 64 bits"},
      {R"("logit_bias": {"x": 1})", "unknown_token", "logit_bias",
       "logit_bias names x, and the model's token ids are 0 to 49"},
      {R"("logit_bias": {"50": 1})", "unknown_token", "logit_bias",
       "logit_bias names 50, and the model's token ids are 0 to 49"},
      {R"("logit_bias": {"5": 101})", "invalid_value", "logit_bias",
       "logit_bias of 5 must be a number between -100 and 100"},
      {R"("logit_bias": [])", "invalid_type", "logit_bias", "logit_bias must be an object of at most 1024 token ids"},
      {R"("logprobs": 3)", "invalid_type", "logprobs", "logprobs is an integer and must be true or false"},
      {R"("logprobs": true, "top_logprobs": 21)", "invalid_value", "top_logprobs",
       "top_logprobs is 21 and must be an integer between 0 and 20"},
      {R"("top_logprobs": 2)", "invalid_value", "top_logprobs",
       "top_logprobs is given without logprobs; give logprobs true too"},
      {R"("max_tokens": 0)", "invalid_value", "max_tokens", "max_tokens is 0 and must be an integer between 1 and 100"},
      {R"("max_tokens": -1)", "invalid_value", "max_tokens",
       "max_tokens is -1 and must be an integer between 1 and 100"},
      {R"("max_tokens": 101)", "invalid_value", "max_tokens",
       "max_tokens is 101 and must be an integer between 1 and 100"},
      {R"("max_tokens": 1, "max_completion_tokens": 2)", "invalid_value", "max_completion_tokens",
       "max_completion_tokens and max_tokens are both given and differ; give one of them"},
      {R"("n": 5)", "invalid_value", "n", "n is 5 and must be an integer between 1 and 4"},
      {R"("stream": 1)", "invalid_type", "stream", "stream is an integer and must be true or false"},
      {R"("stream_options": {"include_usage": true})", "invalid_value", "stream_options",
       "stream_options is given without stream; give stream true too"},
      {R"("stream": true, "stream_options": {"usage": true})", "unknown_field", "stream_options.usage",
       "stream_options.usage is no field that this server knows; leave it out"},
      {R"("stop": "")", "invalid_value", "stop", "stop must be a string or an array of strings of 1 to 256 bytes"},
      {R"("stop": [1])", "invalid_value", "stop", "stop must be a string or an array of strings of 1 to 256 bytes"},
      {R"("stop": ["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])", "invalid_value", "stop",
       "stop has 17 strings and may have at most 16"},
      {R"("stop_token_ids": [50])", "invalid_value", "stop_token_ids",
       "stop_token_ids must be an array of at most 64 token ids from 0 to 49"},
      {R"("ignore_eos": "no")", "invalid_type", "ignore_eos", "ignore_eos is a string and must be true or false"},
      {R"("tools": [{"type": "function"}])", "unsupported_field", "tools",
       "tools is not supported by this server; leave it out"},
      {R"("tool_choice": "required")", "unsupported_field", "tool_choice",
       "tool_choice is not supported by this server; leave it out"},
      {R"("response_format": {"type": "json_object"})", "unsupported_field", "response_format",
       "response_format other than text is not supported by this server; leave it out"},
      {R"("reasoning_effort": "low")", "unsupported_field", "reasoning_effort",
       "reasoning_effort is not supported by this server; leave it out"},
      {R"("temprature": 1)", "unknown_field", "temprature",
       "temprature is no field that this server knows; leave it out"},
      {R"("prompt": "x")", "unknown_field", "prompt", "prompt is no field that this server knows; leave it out"},
  };
  for (const auto& row : table) {
    const auto error = refuse(completion_api::chat, chat(row.field));
    CHECK_THAT(error.message, Equals(row.message));
    CHECK_THAT(error.code, Equals(row.code));
    CHECK_THAT(error.param, Equals(row.param));
    CHECK(describe_error(error.code).status == 400);
  }
}

TEST_CASE("wrong messages are refused by name") {
  const wrong table[] = {
      {R"({"model": "m"})", "missing_field", "messages", "messages is missing and is required"},
      {R"({"model": "m", "messages": []})", "invalid_type", "messages",
       "messages must be an array of at least one message"},
      {R"({"model": "m", "messages": ["hi"]})", "invalid_type", "messages[0]",
       "messages[0] is a string and must be an object"},
      {R"({"model": "m", "messages": [{"content": "x"}]})", "missing_field", "messages[0].role",
       "messages[0].role is missing and is required"},
      {R"({"model": "m", "messages": [{"role": "tool", "content": "x"}]})", "invalid_value", "messages[0].role",
       "messages[0].role is tool and must be system, developer, user or assistant"},
      {R"({"model": "m", "messages": [{"role": "user"}]})", "missing_field", "messages[0].content",
       "messages[0].content is missing and is required"},
      {R"({"model": "m", "messages": [{"role": "user", "content": 5}]})", "invalid_type", "messages[0].content",
       "messages[0].content is an integer and must be a string or an array of text parts"},
      {R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]})",
       "unsupported_field", "messages[0].content[0].type", "messages[0].content[0].type is image_url and must be text"},
      {R"({"model": "m", "messages": [{"role": "user", "content": "x", "tool_calls": [{}]}]})", "unsupported_field",
       "messages[0].tool_calls", "messages[0].tool_calls is not supported by this server; leave it out"},
      {R"({"model": "m", "messages": [{"role": "user", "content": "x", "mood": "good"}]})", "unknown_field",
       "messages[0].mood", "messages[0].mood is no field that this server knows; leave it out"},
      {R"({"messages": []})", "missing_field", "model", "model is missing and is required"},
      {R"({"model": 5})", "invalid_type", "model", "model is an integer and must be a string"},
      {"[]", "invalid_type", "", "the body is an array and must be an object"},
  };
  for (const auto& row : table) {
    const auto error = refuse(completion_api::chat, row.field);
    CHECK_THAT(error.message, Equals(row.message));
    CHECK_THAT(error.code, Equals(row.code));
    CHECK_THAT(error.param, Equals(row.param));
  }
}

TEST_CASE("a wrong prompt is refused by name") {
  const wrong table[] = {
      {R"({"model": "m"})", "missing_field", "prompt", "prompt is missing and is required"},
      {R"({"model": "m", "prompt": ""})", "empty_prompt", "prompt",
       "prompt is empty; give at least one character or token id"},
      {R"({"model": "m", "prompt": []})", "empty_prompt", "prompt",
       "prompt is empty; give at least one character or token id"},
      {R"({"model": "m", "prompt": [[]]})", "empty_prompt", "prompt",
       "prompt is empty; give at least one character or token id"},
      {R"({"model": "m", "prompt": {"a": 1}})", "invalid_type", "prompt",
       "prompt must be a string, an array of strings, an array of token ids or an array of arrays of token ids"},
      {R"({"model": "m", "prompt": ["a", 1]})", "invalid_type", "prompt",
       "prompt must be a string, an array of strings, an array of token ids or an array of arrays of token ids"},
      {R"({"model": "m", "prompt": [50]})", "unknown_token", "prompt",
       "prompt[0] is no token id; the model's are 0 to 49"},
      {R"({"model": "m", "prompt": [1, -1]})", "unknown_token", "prompt",
       "prompt[1] is no token id; the model's are 0 to 49"},
      {R"({"model": "m", "prompt": [1, "a"]})", "invalid_type", "prompt",
       "prompt[1] is no token id; the model's are 0 to 49"},
      {R"({"model": "m", "prompt": ["a","a","a","a","a"], "n": 4})", "invalid_value", "n",
       "5 prompts with n 4 are 20 answers, and one request may ask for at most 16"},
      {R"({"model": "m", "prompt": "a", "echo": true})", "unsupported_field", "echo",
       "echo is not supported by this server; leave it out"},
      {R"({"model": "m", "prompt": "a", "best_of": 3})", "unsupported_field", "best_of",
       "best_of other than n is not supported by this server; leave it out"},
      {R"({"model": "m", "prompt": "a", "logprobs": true})", "invalid_type", "logprobs",
       "logprobs is a boolean and must be an integer between 0 and 20"},
  };
  for (const auto& row : table) {
    const auto error = refuse(completion_api::text, row.field);
    CHECK_THAT(error.message, Equals(row.message));
    CHECK_THAT(error.code, Equals(row.code));
    CHECK_THAT(error.param, Equals(row.param));
  }
}

TEST_CASE("a prompt longer than the context is refused with both numbers") {
  std::string ids = "1";
  for (int i = 0; i < 100; ++i)
    ids += ",1";
  const auto error = refuse(completion_api::text, R"({"model": "m", "prompt": [)" + ids + "]}");
  CHECK(error.code == "context_length_exceeded");
  CHECK_THAT(error.message, Equals("the prompt has 101 tokens and the context is 100; give a shorter prompt"));
}

TEST_CASE("another model's name is a 404 that says what is served") {
  const auto error =
      refuse(completion_api::chat, R"({"model": "gpt", "messages": [{"role": "user", "content": "x"}]})");
  CHECK(describe_error(error.code).status == 404);
  CHECK_THAT(error.message, Equals("the model gpt does not exist; this server serves m"));
}

TEST_CASE("a body that is no JSON or too deep is refused") {
  CHECK(refuse(completion_api::chat, "{").code == "invalid_json");
  CHECK(refuse(completion_api::chat, "\"\xff\"").code == "invalid_json");
  const auto error =
      refuse(completion_api::chat, chat("\"metadata\": " + std::string(3000, '[') + std::string(3000, ']')));
  CHECK_THAT(error.message, ContainsSubstring("nested deeper than 32 levels"));
}
