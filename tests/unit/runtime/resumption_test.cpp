// SPDX-License-Identifier: Apache-2.0
#include "runtime/resumption.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const request_key key{1, 2};

/// A client of `doors` routers, with its own time.
struct scene {
  explicit scene(std::size_t doors, resumption_options options = {})
      : logic(generation{}, key, with(doors, options), now) {}

  static resumption_options with(std::size_t doors, resumption_options options) {
    options.doors = doors;
    return options;
  }

  /// The door that is asked now, or none.
  std::optional<resumption::submission> ask() {
    auto step = logic.next(now);
    if (auto* found = std::get_if<resumption::submission>(&step)) return std::move(*found);
    return std::nullopt;
  }
  std::optional<resumption::failure> failure() {
    auto step = logic.next(now);
    if (auto* found = std::get_if<resumption::failure>(&step)) return std::move(*found);
    return std::nullopt;
  }
  /// Lets time pass until somebody is asked.
  std::optional<resumption::submission> ask_within(std::chrono::milliseconds limit) {
    for (auto end = now + limit; now < end; now += 10ms)
      if (auto found = ask()) return found;
    return std::nullopt;
  }
  std::optional<answer_event> take(std::uint32_t position, std::vector<token_id> tokens, const std::string& text = {},
                                   std::uint64_t offset = 0, finish_reason finish = finish_reason::none) {
    answer_event event;
    for (auto token : tokens)
      event.tokens.push_back({position++, token, 0, {}});
    event.text = text;
    event.text_offset = offset;
    event.finish = finish;
    return logic.take(std::move(event), budget, now);
  }
  void refuse(const std::string& code) { logic.refuse(code, "because", 0ms, budget, now); }

  std::chrono::steady_clock::time_point now{1000s};
  retry_budget budget;
  resumption logic;
};

}  // namespace

TEST_CASE("a request is asked for once and accepted once") {
  scene client(2);
  auto ask = client.ask();
  REQUIRE(ask);
  CHECK(ask->door == 0);
  CHECK(ask->key == key);
  CHECK(ask->tokens.empty());
  CHECK(!client.ask());
  client.logic.accept(client.now);
  CHECK(!client.ask());
}

TEST_CASE("after a loss the next door is asked at once, with what is held and the time that is left") {
  scene client(2);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {10, 11}, "ab");
  client.now += 2s;
  client.take(2, {12}, "c", 2);
  client.logic.lose("gone", client.now);
  auto ask = client.ask();
  REQUIRE(ask);
  CHECK(ask->door == 1);
  CHECK(ask->tokens == std::vector<token_id>{10, 11, 12});
  CHECK(ask->text_bytes == 3);
  CHECK(ask->what.deadline_ms == 598'000);
}

TEST_CASE("what comes twice is given once") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  CHECK(client.take(0, {1, 2, 3}, "abc"));
  CHECK(!client.take(0, {1, 2, 3}, "abc"));
  auto more = client.take(1, {2, 3, 4}, "bcd", 1);
  REQUIRE(more);
  REQUIRE(more->tokens.size() == 1);
  CHECK(more->tokens.front().position == 3);
  CHECK(more->text == "d");
}

TEST_CASE("after a gap the same router is asked again from what is held") {
  scene client(2);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {1, 2}, "ab");
  CHECK(!client.take(3, {4}, "d", 3));
  auto ask = client.ask();
  REQUIRE(ask);
  CHECK(ask->door == 0);
  CHECK(ask->tokens == std::vector<token_id>{1, 2});
}

TEST_CASE("an end that comes before the last tokens is not taken for the end") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {1, 2});
  answer_event end;
  end.finish = finish_reason::length;
  end.usage.completion_tokens = 3;
  CHECK(!client.logic.take(end, client.budget, client.now));
  CHECK(!client.logic.ended());
  CHECK(client.ask());
}

TEST_CASE("a delivered token that comes again as another one is an error at once") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {1, 2, 3});
  CHECK(!client.take(1, {9}));
  auto failure = client.failure();
  REQUIRE(failure);
  CHECK(failure->code == "inconsistent");
  CHECK(!client.failure());
  CHECK(client.logic.ended());
}

TEST_CASE("a silent router is asked again, and after its end nothing is asked") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  client.now += 6s;
  CHECK(client.ask());
  client.logic.accept(client.now);
  CHECK(client.take(0, {1}, "", 0, finish_reason::stop));
  client.now += 60s;
  CHECK(!client.ask());
  CHECK(client.logic.ended());
}

TEST_CASE("doors that fail are asked with pauses that grow, and not for ever") {
  scene client(2);
  client.ask();
  client.logic.accept(client.now);
  std::size_t asked = 0;
  std::optional<resumption::failure> failure;
  client.logic.lose("gone", client.now);
  for (auto end = client.now + 60s; client.now < end && !failure; client.now += 10ms) {
    auto step = client.logic.next(client.now);
    if (auto* found = std::get_if<resumption::failure>(&step)) failure = *found;
    if (!std::holds_alternative<resumption::submission>(step)) continue;
    ++asked;
    client.logic.lose("gone", client.now);
  }
  REQUIRE(failure);
  CHECK(failure->code == "rank_lost");
  CHECK_THAT(failure->sentence, ContainsSubstring("lost"));
  CHECK(asked > 5);
  CHECK(asked < 40);
}

TEST_CASE("the deadline ends a request once, whatever it waits for") {
  resumption_options options;
  options.deadline = 3s;
  scene client(1, options);
  client.ask();
  client.now += 3s;
  auto failure = client.failure();
  REQUIRE(failure);
  CHECK(failure->code == "deadline_exceeded");
  CHECK(!client.failure());
}

TEST_CASE("a refusal of what no router has taken yet is asked at each other door once, and then told") {
  scene client(3);
  CHECK(client.ask()->door == 0);
  client.refuse("draining");
  CHECK(client.ask()->door == 1);
  client.refuse("not_ready");
  CHECK(client.ask()->door == 2);
  client.refuse("not_ready");
  auto failure = client.failure();
  REQUIRE(failure);
  CHECK(failure->code == "not_ready");
}

TEST_CASE("a request that is wrong is refused at the first door") {
  scene client(3);
  client.ask();
  client.refuse("invalid_request");
  REQUIRE(client.failure());
}

TEST_CASE("retries of refused requests run out when all are refused") {
  retry_budget budget;
  std::size_t retries = 0;
  for (int request = 0; request < 200; ++request) {
    budget.count_request();
    resumption logic(generation{}, key, scene::with(2, {}), {});
    logic.next({});
    logic.refuse("overloaded", "because", 0ms, budget, {});
    if (std::holds_alternative<resumption::submission>(logic.next({}))) ++retries;
  }
  CHECK(retries <= 30);  // ten at the start, and a tenth
  CHECK(retries >= 20);
}

TEST_CASE("what was accepted once is not given up for a refusal that passes") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {1});
  client.logic.lose("gone", client.now);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(client.ask_within(2s));
    client.refuse("not_ready");
  }
  CHECK(!client.logic.ended());
}

TEST_CASE("a router that believed the client to be gone is asked again, and nobody hears of it") {
  scene client(1);
  client.ask();
  client.logic.accept(client.now);
  client.take(0, {1, 2});
  answer_event gone;
  gone.finish = finish_reason::abort;
  gone.error_code = "cancelled";
  gone.error = "the client did not come back";
  CHECK(!client.logic.take(gone, client.budget, client.now));
  CHECK(client.ask_within(2s));
}
