// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "apps/gateway/gateway.hpp"
#include "apps/gateway/stream_position.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/scripted_completion_service.hpp"

using namespace troupe;
using nlohmann::json;

namespace {

const std::string hello = R"({"model": "scripted", "messages": [{"role": "user", "content": "hi"}])";
const std::string streamed = hello + R"(, "stream": true})";

scripted_completion_service::script says(std::vector<std::string> words) {
  scripted_answer answer;
  answer.events = events_of(words);
  return [answer](const generation&) { return answer; };
}

/// The ids of a stream's events, in order.
std::vector<std::string> ids_of(const std::string& body) {
  std::vector<std::string> ids;
  for (std::size_t at = 0; (at = body.find("id: ", at)) != std::string::npos;) {
    at += 4;
    ids.push_back(body.substr(at, body.find('\n', at) - at));
  }
  return ids;
}

std::string text_of(const std::string& body) {
  std::string text;
  for (const auto& event : sse_events(body)) {
    if (event == "[DONE]") continue;
    const auto chunk = json::parse(event);
    for (const auto& choice : chunk.at("choices"))
      text += choice.at("delta").value("content", "");
  }
  return text;
}

struct served {
  explicit served(scripted_completion_service::script answers) : service(std::move(answers)), server({}, service) {}

  http_client::response post(const std::string& body, const std::string& fields = {}) {
    http_client client(server.port());
    client.post("/v1/chat/completions", body, fields);
    return client.read();
  }

  scripted_completion_service service;
  gateway server;
};

}  // namespace

TEST_CASE("a position is read back from an event's id, and from nothing else") {
  const stream_position position{{1, 2}, {{3, 40, false}, {5, 60, true}}};
  const auto text = to_string(position);
  CHECK(text == "00000000000000010000000000000002:3.40,5.60f");
  const auto back = parse_stream_position(text);
  REQUIRE(back);
  CHECK(to_string(*back) == text);
  for (const char* wrong : {"", "x", "00000000000000010000000000000002:", "00000000000000010000000000000002:1",
                            "00000000000000010000000000000002:1.2,", "00000000000000010000000000000002:1.2x",
                            "00000000000000010000000000000002:1.99999999999999999999999"})
    CHECK(!parse_stream_position(wrong));
}

TEST_CASE("a stream taken up at any of its events goes on behind it, and both parts are the whole answer") {
  const std::vector<std::string> words{"one", " two", " three", " four"};
  served it(says(words));
  const auto whole = it.post(streamed);
  const auto text = text_of(whole.body());
  CHECK(text == "one two three four");
  const auto ids = ids_of(whole.body());
  REQUIRE(ids.size() == 5);  // a word each, and the end
  CHECK(whole["Troupe-Request-Key"] == ids.front().substr(0, 32));
  CHECK(whole["Troupe-Contract"] == "bit-exact");
  for (std::size_t at = 0; at < ids.size(); ++at) {
    const auto rest = it.post(streamed, "Last-Event-ID: " + ids[at] + "\r\n");
    REQUIRE(rest.result_int() == 200);
    const auto position = parse_stream_position(ids[at]);
    CHECK(text.substr(0, position->choices.front().bytes) + text_of(rest.body()) == text);
    CHECK(sse_events(rest.body()).back() == "[DONE]");
    CHECK(it.service.keys().back() == it.service.keys().front());
    CHECK(it.service.submitted().back().sampling.seed == it.service.submitted().front().sampling.seed);
  }
}

TEST_CASE("a Last-Event-ID that is none, or of another request, is refused with its name") {
  served it(says({"one"}));
  for (const auto& [body, id] : {std::pair{streamed, "nonsense"},
                                 {streamed, "00000000000000010000000000000002:1.1,1.1"},
                                 {hello + "}", "00000000000000010000000000000002:1.1"}}) {
    const auto reply = it.post(body, "Last-Event-ID: " + std::string(id) + "\r\n");
    CHECK(reply.result_int() == 400);
    CHECK(json::parse(reply.body()).at("error").at("param") == "Last-Event-ID");
  }
}

TEST_CASE("the same Idempotency-Key is the same request, another key or client another one") {
  served it(says({"one"}));
  it.post(hello + "}", "Idempotency-Key: a\r\n");
  it.post(hello + "}", "Idempotency-Key: a\r\n");
  it.post(hello + "}", "Idempotency-Key: b\r\n");
  it.post(hello + "}", "Idempotency-Key: a\r\nAuthorization: Bearer someone-else-1234\r\n");
  it.post(hello + "}");
  const auto keys = it.service.keys();
  REQUIRE(keys.size() == 5);
  CHECK(keys[0] == keys[1]);
  CHECK(keys[0] != keys[2]);
  CHECK(keys[0] != keys[3]);
  CHECK(keys[0] != keys[4]);
}

TEST_CASE("the request of a client that named it waits for its return; another's is cancelled") {
  scripted_answer never;
  never.decides = false;
  served it([never](const generation&) { return never; });
  {
    http_client named(it.server.port());
    named.post("/v1/chat/completions", hello + "}", "Idempotency-Key: a\r\n");
    REQUIRE(it.service.wait_submitted(1));
  }
  {
    http_client plain(it.server.port());
    plain.post("/v1/chat/completions", hello + "}");
    REQUIRE(it.service.wait_submitted(2));
  }
  REQUIRE(it.service.wait_cancelled(1));
  REQUIRE(it.service.wait_left(1));
  CHECK(it.service.cancelled() == 1);
  CHECK(it.service.left() == 1);
}

TEST_CASE("a refusal for load says when to come back") {
  scripted_answer busy;
  busy.refusal = completion_refusal{"overloaded", "half of the requests have waited for 7 s", 7};
  served it([busy](const generation&) { return busy; });
  const auto reply = it.post(hello + "}");
  CHECK(reply.result_int() == 503);
  CHECK(reply["Retry-After"] == "7");
}
