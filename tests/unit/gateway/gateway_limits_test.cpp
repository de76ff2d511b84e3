// SPDX-License-Identifier: Apache-2.0
// Every bound on what a stranger may send, at the bound and past it; after each the gateway still serves.
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

struct served {
  explicit served(gateway_limits limits = {})
      : service([](const generation&) {
          scripted_answer answer;
          answer.events = events_of({"x"});
          return answer;
        }),
        server({"127.0.0.1", 0, {}, limits, [this](const std::string& line) { log += line + "\n"; }}, service) {}
  ~served() {
    http_client client(server.port());
    client.get("/live");
    CHECK(client.read().result_int() == 200);
  }
  served(const served&) = delete;
  served& operator=(const served&) = delete;

  std::string log;  ///< written on the I/O thread; read after the server is gone
  scripted_completion_service service;
  gateway server;
};

struct refusal {
  int status;
  std::string code;
  std::string message;
  bool closed;
};

refusal refusal_of(http_client& client) {
  const auto response = client.read();
  const auto error = json::parse(response.body()).at("error");
  return {static_cast<int>(response.result_int()), error.at("code"), error.at("message"), client.at_end()};
}

refusal refusal_of(const served& it, const std::string& raw) {
  http_client client(it.server.port());
  client.send(raw);
  return refusal_of(client);
}

std::string header_of_bytes(std::size_t bytes) {
  const std::string start = "GET /live HTTP/1.1\r\nX: ";
  const std::string end = "\r\n\r\n";
  return start + std::string(bytes - start.size() - end.size(), 'x') + end;
}

std::string post(const std::string& body) {
  return "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("what is no HTTP is refused and the connection closed") {
  served it;
  for (const auto* raw :
       {"hello\r\n\r\n", "GET  /live HTTP/1.1\r\n\r\n", "GET /live HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "GET /live HTTP/1.1\r\nno colon\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"}) {
    INFO(raw);
    const auto got = refusal_of(it, raw);
    CHECK(got.status == 400);
    CHECK(got.code == "invalid_http");
    CHECK_THAT(got.message, ContainsSubstring("the request is no valid HTTP/1.1: "));
    CHECK(got.closed);
  }
}

TEST_CASE("a header is read up to its limit and refused past it") {
  served it;
  http_client client(it.server.port());
  client.send(header_of_bytes(16000));
  CHECK(client.read().result_int() == 200);
  const auto got = refusal_of(it, header_of_bytes(17000));
  CHECK(got.status == 431);
  CHECK(got.message == "the header is larger than 16384 bytes; send a smaller one");
  // No end in sight: the limit holds before the header is whole.
  http_client endless(it.server.port());
  endless.send("GET /live HTTP/1.1\r\n");
  const std::string line = "X: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 20; ++i)
    endless.send(line);
  CHECK(refusal_of(endless).status == 431);
}

TEST_CASE("header fields are counted") {
  served it;
  auto request_with = [](int fields) {
    std::string out = "GET /live HTTP/1.1\r\n";
    for (int i = 0; i < fields; ++i)
      out += "X-" + std::to_string(i) + ": y\r\n";
    return out + "\r\n";
  };
  http_client client(it.server.port());
  client.send(request_with(64));
  CHECK(client.read().result_int() == 200);
  const auto got = refusal_of(it, request_with(65));
  CHECK(got.status == 431);
  CHECK(got.message == "the header has 65 fields and may have at most 64");
}

TEST_CASE("a body is read up to its limit and refused past it, before it is sent") {
  gateway_limits limits;
  limits.body_bytes = 1000;
  served it(limits);
  auto body_of = [](std::size_t bytes) {
    const std::string start = R"({"model": "scripted", "prompt": ")";
    return start + std::string(bytes - start.size() - 2, 'x') + "\"}";
  };
  http_client client(it.server.port());
  client.send(post(body_of(1000)));
  CHECK(client.read().result_int() == 200);
  const auto got =
      refusal_of(it, "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1001\r\n\r\n");
  CHECK(got.status == 413);
  CHECK(got.code == "body_too_large");
  CHECK(got.message == "the body is larger than 1000 bytes; send a smaller one");
  CHECK(got.closed);
  const auto chunked =
      refusal_of(it,
                 "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3e9\r\n" +
                     std::string(1001, 'x') + "\r\n0\r\n\r\n");
  CHECK(chunked.status == 413);
}

TEST_CASE("a body that is refused although the client goes on sending it still gets its answer") {
  served it;
  http_client client(it.server.port());
  client.send("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n");
  client.send(std::string(4 << 20, 'x'));
  CHECK(client.read().result_int() == 413);
}

TEST_CASE("eight megabytes of prompt are read, and more are refused") {
  served it;
  http_client client(it.server.port());
  const std::string prompt(4 << 20, 'x');
  client.send(post(R"({"model": "scripted", "prompt": [")" + prompt + R"(", ")" + prompt.substr(100) + "\"]}"));
  CHECK(client.read().result_int() == 200);
  CHECK(refusal_of(it,
                   "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 8388609\r\n\r\n")
            .status == 413);
}

TEST_CASE("JSON that is deep, wide or broken is refused and the connection goes on") {
  served it;
  http_client client(it.server.port());
  for (const auto& body : {std::string(5 << 20, '['), "{\"a\":" + std::string(100000, '{'), std::string("{"),
                           std::string("\"\xff\""), std::string("null")}) {
    client.send(post(body));
    const auto response = client.read();
    CHECK(response.result_int() == 400);
    CHECK(response.body().size() < 1000);
  }
  client.get("/live");
  CHECK(client.read().result_int() == 200);
}

TEST_CASE("a header that does not come in time is refused") {
  gateway_limits limits;
  limits.header_time = 100ms;
  served it(limits);
  const auto got = refusal_of(it, "GET /live HTTP/1.1\r\nX: y");
  CHECK(got.status == 408);
  CHECK(got.message == "the header did not come within 100 ms; send it faster");
  CHECK(got.closed);
}

TEST_CASE("a body that does not come in time is refused") {
  gateway_limits limits;
  limits.body_time = 100ms;
  served it(limits);
  const auto got =
      refusal_of(it, "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{");
  CHECK(got.status == 408);
  CHECK(got.message == "the body did not come within 100 ms; send it faster");
}

TEST_CASE("an idle connection is closed without a word") {
  gateway_limits limits;
  limits.idle_time = 100ms;
  served it(limits);
  http_client silent(it.server.port());
  CHECK(silent.at_end());
  http_client once(it.server.port());
  once.get("/live");
  CHECK(once.read().result_int() == 200);
  CHECK(once.at_end());
}

TEST_CASE("an answer that takes longer than a request may is an error") {
  gateway_limits limits;
  limits.request_time = 100ms;
  scripted_completion_service service([](const generation&) { return scripted_answer{}; });
  gateway server({"127.0.0.1", 0, {}, limits, {}}, service);
  http_client client(server.port());
  client.post("/v1/completions", R"({"model": "scripted", "prompt": "x"})");
  const auto response = client.read();
  CHECK(response.result_int() == 504);
  CHECK(json::parse(response.body()).at("error").at("code") == "deadline_exceeded");
  CHECK(service.wait_cancelled(1));
}

TEST_CASE("a key is held to its limits, and another key is not") {
  constexpr auto one = "Authorization: Bearer sk-0123456789abcdef\r\n",
                 other = "Authorization: Bearer sk-fedcba9876543210\r\n";
  const std::string body = R"({"model": "scripted", "prompt": "hi", "stream": true})";
  gateway_options options;
  scripted_answer answer;
  answer.events = events_of({"x"}, finish_reason::none);
  SECTION("requests at a time, which one that leaves gives back") {
    answer.endless = true;
    options.keys.add("sk-0123456789abcdef", {.concurrent = 1});
    options.keys.add("sk-fedcba9876543210");
    scripted_completion_service service([answer](const generation&) { return answer; });
    gateway server(options, service);
    http_client first(server.port()), second(server.port()), third(server.port());
    first.post("/v1/completions", body, one);
    first.read_until("data:");
    second.post("/v1/completions", body, one);
    const auto refused = second.read();
    CHECK(refused.result_int() == 429);
    CHECK(refused["Retry-After"] == "1");
    const auto error = json::parse(refused.body()).at("error");
    CHECK(error.at("type") == "rate_limit_error");
    CHECK(error.at("code") == "rate_limit_exceeded");
    CHECK_THAT(error.at("message").get<std::string>(), ContainsSubstring("1 at a time"));
    third.post("/v1/completions", body, other);
    CHECK_THAT(third.read_until("data:"), ContainsSubstring("200 OK"));
    second.get("/v1/models", one);  // costs nothing
    CHECK(second.read().result_int() == 200);
    first.close();
    REQUIRE(service.wait_cancelled(1));
    for (bool again = false; !again;) {  // the server sees the end of the first a moment after the cancelling
      http_client fourth(server.port());
      fourth.post("/v1/completions", body, one);
      again = fourth.read_until("\r\n\r\n").find("200 OK") != std::string::npos;
    }
  }
  SECTION("tokens a minute, counted when an answer has ended") {
    answer.events = events_of({"x", "y", "z"});
    options.keys.add("sk-0123456789abcdef", {.tokens_per_minute = 5});
    scripted_completion_service service([answer](const generation&) { return answer; });
    gateway server(options, service);
    http_client client(server.port());
    client.post("/v1/completions", body, one);
    CHECK(client.read().result_int() == 200);
    client.post("/v1/completions", body, one);
    const auto refused = client.read();
    CHECK(refused.result_int() == 429);
    CHECK(std::stoi(std::string(refused["Retry-After"])) > 30);
    CHECK_THAT(refused.body(), ContainsSubstring("5 tokens a minute"));
    CHECK(service.submitted().size() == 1);
  }
  SECTION("requests a minute") {
    answer.events = events_of({"x"});
    options.keys.add("sk-0123456789abcdef", {.requests_per_minute = 2});
    scripted_completion_service service([answer](const generation&) { return answer; });
    gateway server(options, service);
    http_client client(server.port());
    for (const int status : {200, 200, 429}) {
      client.post("/v1/completions", body, one);
      CHECK(static_cast<int>(client.read().result_int()) == status);
    }
  }
}

TEST_CASE("connections are bounded in all and for each address") {
  gateway_limits limits;
  SECTION("in all") { limits.connections = 3; }
  SECTION("for each address") {
    limits.connections_per_address = 3;
    limits.limit_loopback = true;
  }
  const int status = limits.connections == 3 ? 503 : 429;
  scripted_completion_service service([](const generation&) { return scripted_answer{}; });
  gateway server({"127.0.0.1", 0, {}, limits, {}}, service);
  std::vector<std::unique_ptr<http_client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<http_client>(server.port()));
    clients.back()->get("/live");
    CHECK(clients.back()->read().result_int() == 200);
  }
  http_client one_more(server.port());
  const auto response = one_more.read();
  CHECK(static_cast<int>(response.result_int()) == status);
  CHECK(response.count("Retry-After") == 1);
  CHECK(one_more.at_end());
  clients[0]->get("/live", "Connection: close\r\n");
  clients[0]->read();
  CHECK(clients[0]->at_end());
  clients[0]->close();
  clients[1]->get("/live");
  CHECK(clients[1]->read().result_int() == 200);
  // The server counts a connection until it has seen its end, which may be a moment after ours.
  for (int status_now = 0; status_now != 200;) {
    http_client again(server.port());
    again.get("/live");
    status_now = static_cast<int>(again.read().result_int());
    REQUIRE((status_now == 200 || status_now == status));
  }
}

TEST_CASE("a client that sends on and on while its answer is made is taken for gone") {
  scripted_completion_service service([](const generation&) { return scripted_answer{}; });
  gateway server({}, service);
  http_client client(server.port());
  client.post("/v1/completions", R"({"model": "scripted", "prompt": "x"})");
  REQUIRE(service.wait_submitted(1));
  client.send(std::string(100 << 10, 'x'));
  CHECK(service.wait_cancelled(1));
}

TEST_CASE("the log names what was refused and never the prompt") {
  std::string log;
  {
    scripted_completion_service service([](const generation&) {
      scripted_answer answer;
      answer.events = events_of({"the answer"});
      return answer;
    });
    gateway server({"127.0.0.1", 0, {}, {}, [&](const std::string& line) { log += line + "\n"; }}, service);
    http_client client(server.port());
    client.send(post(R"({"model": "scripted", "prompt": "my secret"})"));
    client.read();
    client.send(post(R"({"model": "scripted", "prompt": "my secret", "top_k": "x"})"));
    client.read();
    client.send("nonsense\r\n\r\n");
    client.read();
  }
  CHECK_THAT(log, ContainsSubstring("ended=done prompt-tokens=7 completion-tokens=1"));
  CHECK_THAT(log, ContainsSubstring("code=invalid_type param=top_k"));
  CHECK_THAT(log, ContainsSubstring("code=invalid_http"));
  CHECK(log.find("secret") == std::string::npos);
  CHECK(log.find("the answer") == std::string::npos);
}
