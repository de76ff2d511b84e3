// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "apps/gateway/gateway.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/scripted_completion_service.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using nlohmann::json;

namespace {

const std::string hello = R"({"model": "scripted", "messages": [{"role": "user", "content": "hi"}])";

scripted_completion_service::script says(std::vector<std::string> words, finish_reason finish = finish_reason::stop) {
  scripted_answer answer;
  answer.events = events_of(words, finish);
  return [answer](const generation&) { return answer; };
}

scripted_completion_service::script refuses(std::string code) {
  scripted_answer answer;
  answer.refusal = completion_refusal{std::move(code), "because"};
  return [answer](const generation&) { return answer; };
}

struct served {
  explicit served(scripted_completion_service::script answers, gateway_options options = {})
      : service(std::move(answers)), server(std::move(options), service), client(server.port()) {}

  http_client::response chat(const std::string& more) {
    client.post("/v1/chat/completions", hello + more + "}");
    return client.read();
  }

  scripted_completion_service service;
  gateway server;
  http_client client;
};

}  // namespace

TEST_CASE("a whole chat answer has its text, reason and usage") {
  served it(says({"Hel", "lo"}, finish_reason::length));
  const auto response = it.chat("");
  CHECK(response.result_int() == 200);
  CHECK(response["Content-Type"] == "application/json");
  const auto body = json::parse(response.body());
  CHECK(body.at("object") == "chat.completion");
  CHECK_THAT(body.at("id").get<std::string>(), StartsWith("chatcmpl-"));
  CHECK(body.at("model") == "scripted");
  CHECK(body.at("created") > 1700000000);
  CHECK(response["X-Request-Id"].size() == 32);
  CHECK(response["X-Request-Id"] == response["Troupe-Request-Key"]);
  CHECK(body.at("choices").at(0).at("message").at("content") == "Hello");
  CHECK(body.at("choices").at(0).at("finish_reason") == "length");
  CHECK(body.at("usage").at("prompt_tokens") == 7);
  CHECK(body.at("usage").at("completion_tokens") == 2);
  CHECK(body.at("usage").at("prompt_tokens_details").at("cached_tokens") == 4);
}

TEST_CASE("a streamed chat begins with the role, ends with the reason, the usage and DONE") {
  served it(says({"Hel", "lo"}));
  const auto response = it.chat(R"(, "stream": true, "stream_options": {"include_usage": true})");
  CHECK(response.result_int() == 200);
  CHECK(response["Content-Type"] == "text/event-stream");
  const auto events = sse_events(response.body());
  REQUIRE(events.size() == 6);
  CHECK(json::parse(events[0]).at("choices").at(0).at("delta").at("role") == "assistant");
  CHECK(json::parse(events[1]).at("choices").at(0).at("delta").at("content") == "Hel");
  CHECK(json::parse(events[2]).at("choices").at(0).at("delta").at("content") == "lo");
  CHECK(json::parse(events[3]).at("choices").at(0).at("finish_reason") == "stop");
  CHECK(json::parse(events[4]).at("usage").at("total_tokens") == 9);
  CHECK(events[5] == "[DONE]");
}

TEST_CASE("a stream of more events than the credit arrives whole") {
  std::vector<std::string> words;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    words.push_back(std::to_string(i) + " ");
    all += words.back();
  }
  served it(says(words));
  std::string text;
  for (const auto& event : sse_events(it.chat(R"(, "stream": true)").body()))
    if (event != "[DONE]") text += json::parse(event).at("choices").at(0).at("delta").value("content", "");
  CHECK(text == all);
  CHECK(json::parse(it.chat("").body()).at("choices").at(0).at("message").at("content") == all);
}

TEST_CASE("several prompts with several choices each are answered in one body and in one stream") {
  served it([](const generation& what) {
    scripted_answer answer;
    answer.events = events_of({what.prompt.text, "!"});
    return answer;
  });
  it.client.post("/v1/completions", R"({"model": "scripted", "prompt": ["a", "b"], "n": 2})");
  const auto whole = json::parse(it.client.read().body());
  REQUIRE(whole.at("choices").size() == 4);
  CHECK(whole.at("object") == "text_completion");
  CHECK(whole.at("choices").at(1).at("text") == "a!");
  CHECK(whole.at("choices").at(2).at("text") == "b!");
  CHECK(whole.at("choices").at(3).at("index") == 3);
  CHECK(whole.at("usage").at("prompt_tokens") == 14);
  CHECK(whole.at("usage").at("completion_tokens") == 8);
  it.client.post("/v1/completions", R"({"model": "scripted", "prompt": ["a", "b"], "n": 2, "stream": true})");
  std::vector<std::string> texts(4);
  int finished = 0;
  for (const auto& event : sse_events(it.client.read().body())) {
    if (event == "[DONE]") continue;
    const auto choice = json::parse(event).at("choices").at(0);
    texts.at(choice.at("index").get<std::size_t>()) += choice.at("text");
    finished += choice.at("finish_reason") == "stop" ? 1 : 0;
  }
  CHECK(texts == std::vector<std::string>{"a!", "a!", "b!", "b!"});
  CHECK(finished == 4);
}

TEST_CASE("logprobs come with the tokens, whole and streamed") {
  served it(says({"x", "y"}));
  const auto whole = json::parse(it.chat(R"(, "logprobs": true, "top_logprobs": 2)").body());
  const auto& content = whole.at("choices").at(0).at("logprobs").at("content");
  REQUIRE(content.size() == 2);
  CHECK(content.at(1).at("token") == "t1");
  CHECK(content.at(1).at("top_logprobs").size() == 2);
  CHECK(it.service.submitted().at(0).sampling.logprobs == 2);
  std::size_t tokens = 0;
  for (const auto& event : sse_events(it.chat(R"(, "logprobs": true, "stream": true)").body()))
    if (event != "[DONE]") {
      const auto logprobs = json::parse(event).at("choices").at(0).at("logprobs");
      tokens += logprobs.is_null() ? 0 : logprobs.at("content").size();
    }
  CHECK(tokens == 2);
}

TEST_CASE("what the client asked for reaches the service") {
  served it(says({"x"}));
  it.chat(R"(, "temperature": 0, "seed": 11, "max_tokens": 3, "stop": "END")");
  it.chat("");
  it.chat("");
  const auto asked = it.service.submitted();
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].sampling.temperature == 0);
  CHECK(asked[0].sampling.seed == 11);
  CHECK(asked[0].stops.max_tokens == 3);
  CHECK(asked[0].stop_strings == std::vector<std::string>{"END"});
  CHECK(asked[0].prompt.messages.at(0).content == "hi");
  CHECK(asked[0].deadline_ms == 600000);
  CHECK(asked[1].sampling.seed != asked[2].sampling.seed);
}

TEST_CASE("a refusal has the status of its code, whole or streamed, and the connection goes on") {
  for (const auto& [code, status] : {std::pair("context_length_exceeded", 400), std::pair("queue_full", 503),
                                     std::pair("rate_limit_exceeded", 429), std::pair("internal", 500)}) {
    served it(refuses(code));
    for (const auto* more : {"", R"(, "stream": true)"}) {
      const auto response = it.chat(more);
      CHECK(static_cast<int>(response.result_int()) == status);
      CHECK(json::parse(response.body()).at("error").at("code") == code);
      CHECK(json::parse(response.body()).at("error").at("message") == "because");
      CHECK(response.count("Retry-After") == (status == 503 || status == 429 ? 1 : 0));
    }
  }
}

TEST_CASE("when one of several choices is refused the others are cancelled and the client gets one error") {
  served it([](const generation& what) {
    scripted_answer answer;
    if (what.prompt.text == "b")
      answer.refusal = completion_refusal{"queue_full", "full"};
    else
      answer.decides = false;
    return answer;
  });
  it.client.post("/v1/completions", R"({"model": "scripted", "prompt": ["a", "b", "c"], "stream": true})");
  CHECK(it.client.read().result_int() == 503);
  CHECK(it.service.wait_cancelled(2));
}

TEST_CASE("an error after the first token ends a stream without DONE, and a whole answer with its status") {
  auto events = events_of({"x"}, finish_reason::error);
  events.back().error = "the group was lost";
  events.back().error_code = "rank_lost";
  scripted_answer answer;
  answer.events = events;
  served it([answer](const generation&) { return answer; });
  const auto whole = it.chat("");
  CHECK(whole.result_int() == 503);
  CHECK(json::parse(whole.body()).at("error").at("message") == "the group was lost");
  const auto streamed = sse_events(it.chat(R"(, "stream": true)").body());
  REQUIRE(streamed.size() == 3);
  CHECK(json::parse(streamed.back()).at("error").at("code") == "rank_lost");
  CHECK(it.client.at_end());
}

TEST_CASE("an answer that the server ended early is an error and not a short answer") {
  served it(says({"x"}, finish_reason::abort));
  const auto response = it.chat("");
  CHECK(response.result_int() == 503);
  CHECK(json::parse(response.body()).at("error").at("code") == "aborted");
}

TEST_CASE("a wrong body is one error that names the field, and the connection goes on") {
  served it(says({"x"}));
  const auto response = it.chat(R"(, "temperature": 9)");
  CHECK(response.result_int() == 400);
  CHECK(json::parse(response.body()).at("error").at("param") == "temperature");
  CHECK(it.chat("").result_int() == 200);
  CHECK(it.service.submitted().size() == 1);
}

TEST_CASE("models are listed and found by name") {
  served it(says({"x"}));
  it.client.get("/v1/models");
  const auto list = json::parse(it.client.read().body());
  CHECK(list.at("object") == "list");
  CHECK(list.at("data").at(0).at("id") == "scripted");
  CHECK(list.at("data").at(0).at("max_model_len") == 4096);
  it.client.get("/v1/models/scripted");
  CHECK(json::parse(it.client.read().body()).at("object") == "model");
  it.client.get("/v1/models/other?x=y");
  const auto missing = it.client.read();
  CHECK(missing.result_int() == 404);
  CHECK(json::parse(missing.body()).at("error").at("code") == "model_not_found");
}

TEST_CASE("health tells whether requests are taken, and live only that the server is there") {
  served it(says({"x"}));
  it.client.get("/health");
  CHECK(it.client.read().result_int() == 200);
  it.service.set_health({false, "starting", "rank 1 of group g0 is missing"});
  it.client.get("/ready");
  const auto response = it.client.read();
  CHECK(response.result_int() == 503);
  CHECK(json::parse(response.body()).at("state") == "starting");
  CHECK_THAT(response.body(), ContainsSubstring("rank 1 of group g0 is missing"));
  it.client.get("/live");
  CHECK(it.client.read().result_int() == 200);
  it.client.send("HEAD /live HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(it.client.read(true).result_int() == 200);
  it.client.get("/live");
  CHECK(it.client.read().result_int() == 200);
}

TEST_CASE("metrics are text that needs no key") {
  gateway_options options;
  options.keys.add("sk-0123456789abcdef");
  served it(says({"x"}), options);
  it.client.get("/metrics");
  const auto response = it.client.read();
  CHECK(response.result_int() == 200);
  CHECK(response["Content-Type"] == "text/plain; version=0.0.4");
  CHECK(response.body() == it.service.metrics());
}

TEST_CASE("an unknown path, method or content type is refused by name") {
  const auto refusal = [](const std::string& raw) {
    served it(says({"x"}));
    it.client.send(raw);
    auto response = it.client.read();
    return std::pair(static_cast<int>(response.result_int()),
                     json::parse(response.body()).at("error").at("message").get<std::string>());
  };
  CHECK(refusal("GET /v2 HTTP/1.1\r\n\r\n") ==
        std::pair(
            404,
            std::string(
                "there is no /v2; there are /v1/chat/completions, /v1/completions, /v1/models, /health and /metrics")));
  CHECK(refusal("GET /v1/completions HTTP/1.1\r\n\r\n") ==
        std::pair(405, std::string("GET is not for /v1/completions; use POST")));
  CHECK(refusal("POST /health HTTP/1.1\r\nContent-Length: 0\r\n\r\n") ==
        std::pair(405, std::string("POST is not for /health; use GET")));
  CHECK(refusal("POST /v1/completions HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}") ==
        std::pair(415, std::string("the content type is not JSON; send Content-Type: application/json")));
}

TEST_CASE("an API key is asked for before the body is read") {
  gateway_options options;
  options.keys.add("sk-0123456789abcdef");
  served it(says({"x"}), options);
  http_client stranger(it.server.port());
  stranger.send("POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n");
  const auto refused = stranger.read();
  CHECK(refused.result_int() == 401);
  CHECK(refused["WWW-Authenticate"] == "Bearer");
  CHECK(json::parse(refused.body()).at("error").at("code") == "invalid_api_key");
  http_client wrong(it.server.port());
  wrong.get("/v1/models", "Authorization: Bearer sk-0123456789abcdeX\r\n");
  CHECK(wrong.read().result_int() == 401);
  http_client watcher(it.server.port());
  watcher.get("/health");
  CHECK(watcher.read().result_int() == 200);
  it.client.post("/v1/chat/completions", hello + "}", "Authorization: Bearer sk-0123456789abcdef\r\n");
  CHECK(it.client.read().result_int() == 200);
}

TEST_CASE("an answer too large to be held is refused with the remedy") {
  gateway_options options;
  options.limits.answer_bytes = 100;
  scripted_answer answer;
  answer.events = events_of({std::string(50, 'x')}, finish_reason::none);
  answer.endless = true;
  served it([answer](const generation&) { return answer; }, options);
  const auto response = it.chat("");
  CHECK(response.result_int() == 500);
  CHECK_THAT(response.body(), ContainsSubstring("larger than 100 bytes; give stream true"));
  CHECK(it.service.wait_cancelled(1));
}
