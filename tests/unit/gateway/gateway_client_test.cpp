// SPDX-License-Identifier: Apache-2.0
// What the gateway does with clients that leave, stall, wait or keep coming.
#include <memory>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "apps/gateway/gateway.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/scripted_completion_service.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string chat_path = "/v1/chat/completions";
const std::string whole = R"({"model": "scripted", "messages": [{"role": "user", "content": "hi"}]})";
const std::string streamed =
    R"({"model": "scripted", "stream": true, "messages": [{"role": "user", "content": "hi"}]})";

scripted_completion_service::script says(std::vector<std::string> words) {
  scripted_answer answer;
  answer.events = events_of(words);
  return [answer](const generation&) { return answer; };
}

/// Says the words and then nothing more, without an end.
scripted_completion_service::script stays_after(std::vector<std::string> words) {
  scripted_answer answer;
  answer.events = events_of(words);
  answer.events.pop_back();
  return [answer](const generation&) { return answer; };
}

scripted_completion_service::script never_decides() {
  return [](const generation&) {
    scripted_answer answer;
    answer.decides = false;
    return answer;
  };
}

scripted_completion_service::script talks_forever(std::size_t bytes) {
  scripted_answer answer;
  answer.events = events_of({std::string(bytes, 'x')});
  answer.events.pop_back();
  answer.endless = true;
  return [answer](const generation&) { return answer; };
}

}  // namespace

TEST_CASE("a client that leaves before anything was decided cancels its request") {
  for (const auto& body : {whole, streamed}) {
    scripted_completion_service service(never_decides());
    gateway server({}, service);
    http_client client(server.port());
    client.post(chat_path, body);
    REQUIRE(service.wait_submitted(1));
    client.close();
    CHECK(service.wait_cancelled(1));
  }
}

TEST_CASE("a client that leaves before the first token cancels its request") {
  scripted_completion_service service(stays_after({}));
  gateway server({}, service);
  http_client client(server.port());
  client.post(chat_path, streamed);
  client.read_until("assistant");
  client.close();
  CHECK(service.wait_cancelled(1));
}

TEST_CASE("a client that leaves in mid-answer cancels its request") {
  scripted_completion_service service(stays_after({"a", "b"}));
  gateway server({}, service);
  SECTION("of a stream, by closing") {
    http_client client(server.port());
    client.post(chat_path, streamed);
    client.read_until(R"("content":"b")");
    client.close();
    CHECK(service.wait_cancelled(1));
  }
  SECTION("of a stream, by closing its side") {
    http_client client(server.port());
    client.post(chat_path, streamed);
    client.read_until(R"("content":"b")");
    client.half_close();
    CHECK(service.wait_cancelled(1));
  }
  SECTION("of a whole answer") {
    http_client client(server.port());
    client.post(chat_path, whole);
    REQUIRE(service.wait_events_sent(2));
    client.close();
    CHECK(service.wait_cancelled(1));
  }
}

TEST_CASE("a client that stops reading gets no more credit, and after the stall time is cut off") {
  scripted_completion_service service(talks_forever(4096));
  gateway_options options;
  options.limits.stall_time = 300ms;
  options.limits.send_buffer_bytes = 16 << 10;
  gateway server(options, service);
  http_client client(server.port(), 16 << 10);
  client.post(chat_path, streamed);
  REQUIRE(service.wait_cancelled(1));
  // What fits into both sockets, and the credit: nothing near what an unbounded writer would have taken.
  CHECK(service.events_sent() < 200);
  http_client other(server.port());
  other.get("/live");
  CHECK(other.read().result_int() == 200);
}

TEST_CASE("a client that reads slowly gets everything") {
  std::vector<std::string> words(500, std::string(1000, 'x'));
  scripted_completion_service service(says(words));
  gateway_options options;
  options.limits.send_buffer_bytes = 8 << 10;
  gateway server(options, service);
  http_client client(server.port(), 4 << 10);
  client.post(chat_path, streamed);
  REQUIRE(service.wait_events_sent(10));
  const auto events = sse_events(client.read().body());
  CHECK(events.size() == words.size() + 3);
  CHECK(events.back() == "[DONE]");
}

TEST_CASE("a hundred idle connections do not keep a request waiting") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  std::vector<std::unique_ptr<http_client>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<http_client>(server.port()));
    if (i % 2 == 0) idle.back()->send("POST /v1/comple");
  }
  http_client client(server.port());
  client.post(chat_path, whole);
  CHECK(client.read().result_int() == 200);
  idle[1]->get("/live");
  CHECK(idle[1]->read().result_int() == 200);
}

TEST_CASE("requests that come in one packet are answered in order") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  http_client client(server.port());
  const std::string get = " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send("GET /live" + get + "GET /v1/models" + get +
              "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(streamed.size()) + "\r\n\r\n" + streamed + "GET /nothing" + get);
  CHECK_THAT(client.read().body(), ContainsSubstring("status"));
  CHECK_THAT(client.read().body(), ContainsSubstring("list"));
  CHECK_THAT(client.read().body(), ContainsSubstring("[DONE]"));
  CHECK(client.read().result_int() == 404);
}

TEST_CASE("a request that comes byte by byte is read") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  http_client client(server.port());
  for (auto byte : std::string("GET /live HTTP/1.1\r\nHost: x\r\n\r\n"))
    client.send(std::string(1, byte));
  CHECK(client.read().result_int() == 200);
}

TEST_CASE("a body that comes in chunks, or after a 100 Continue, is read") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  http_client client(server.port());
  const std::string head = "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\n";
  client.send(head + "Transfer-Encoding: chunked\r\n\r\n");
  for (std::size_t i = 0; i < whole.size(); i += 10) {
    const auto piece = whole.substr(i, 10);
    char size[8];
    snprintf(size, sizeof size, "%zx", piece.size());
    client.send(std::string(size) + "\r\n" + piece + "\r\n");
  }
  client.send("0\r\n\r\n");
  CHECK(client.read().result_int() == 200);
  http_client polite(server.port());
  polite.send(head + "Expect: 100-continue\r\nContent-Length: " + std::to_string(whole.size()) + "\r\n\r\n");
  polite.read_until("HTTP/1.1 100 Continue\r\n\r\n");
  polite.send(whole);
  CHECK_THAT(polite.read_until("\"usage\""), ContainsSubstring("HTTP/1.1 200 OK"));
}

TEST_CASE("an HTTP/1.0 client gets a stream that ends with the connection") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  http_client client(server.port());
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(streamed.size()) + "\r\n\r\n" + streamed);
  const auto response = client.read();
  CHECK_FALSE(response.chunked());
  CHECK(sse_events(response.body()).back() == "[DONE]");
}

TEST_CASE("draining finishes what runs, closes what idles and accepts nothing more") {
  scripted_completion_service service(talks_forever(10));
  gateway server({}, service);
  http_client running(server.port());
  running.post(chat_path, streamed);
  running.read_until("xxx");
  http_client idle(server.port());
  idle.get("/live");
  idle.read();
  const auto port = server.port();
  server.drain();
  CHECK(idle.at_end());
  CHECK_THROWS(http_client(port));
  CHECK_FALSE(server.wait_drained(0ms));
  running.close();
  CHECK(server.wait_drained(20s));
  CHECK(service.cancelled() == 1);
}

TEST_CASE("an answer that runs when draining begins is given whole") {
  scripted_completion_service service([](const generation& what) {
    scripted_answer answer;
    answer.events = events_of({"a", "b", "c"});
    answer.decides = what.prompt.messages.at(0).content == "hi";
    return answer;
  });
  gateway server({}, service);
  http_client client(server.port());
  // Half of the body is there when the drain begins.
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: "
      "application/json\r\nContent-Length: " +
      std::to_string(streamed.size()) + "\r\n\r\n");
  client.read_until("100 Continue");
  server.drain();
  client.send(streamed);
  const auto text = client.read_until("0\r\n\r\n");
  CHECK_THAT(text, ContainsSubstring("Connection: close"));
  CHECK_THAT(text, ContainsSubstring("[DONE]"));
  client.close();
  CHECK(server.wait_drained(20s));
}

TEST_CASE("a gateway that goes away cancels what runs and is not missed by late callbacks") {
  scripted_completion_service service(stays_after({"a"}));
  {
    gateway server({}, service);
    http_client client(server.port());
    client.post(chat_path, streamed);
    client.read_until(R"("content":"a")");
  }
  CHECK(service.cancelled() == 1);
  service.call_back_late();
}

TEST_CASE("an address in use is named with the remedy") {
  scripted_completion_service service(says({"x"}));
  gateway server({}, service);
  gateway_options options;
  options.port = server.port();
  try {
    gateway second(options, service);
    FAIL("two gateways on one port");
  } catch (const std::runtime_error& error) {
    CHECK_THAT(error.what(), ContainsSubstring("HTTP cannot listen on 127.0.0.1:" + std::to_string(server.port()) +
                                               " (Address already in use); give another http address"));
  }
}
