// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/stop_matcher.hpp"

#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using troupe::stop_matcher;
using strings = std::vector<std::string>;

namespace {

struct outcome {
  std::string text;
  std::optional<std::size_t> matched;
  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome run(const strings& stops, const strings& increments, bool include_stop = false) {
  stop_matcher matcher(stops, include_stop);
  outcome result;
  for (const std::string& increment : increments)
    result.text += matcher.push(increment);
  result.matched = matcher.matched();
  result.text += matcher.finish();
  return result;
}

// The first match is the one that ends first, of those the longest.
outcome by_definition(const strings& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < stops.size(); ++i)
      if (text.substr(0, end).ends_with(stops[i]) && (!best || stops[i].size() > stops[*best].size())) best = i;
    if (best) return {text.substr(0, end - stops[*best].size()), best};
  }
  return {text, std::nullopt};
}

}  // namespace

TEST_CASE("a stop string is found wherever the increments are cut, and the text ends before it") {
  std::mt19937 random(17);
  const auto word = [&](std::size_t longest) {
    std::string text;
    for (std::size_t n = 1 + random() % longest; n > 0; --n)
      text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 5000; ++round) {
    strings stops;
    for (std::size_t n = random() % 4; n > 0; --n)
      stops.push_back(word(6));
    strings increments;
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n)
      text += increments.emplace_back(word(4));
    REQUIRE(run(stops, increments) == by_definition(stops, text));
  }
}

TEST_CASE("text goes on as soon as it cannot be part of a stop string") {
  stop_matcher matcher({"STOP"});
  CHECK(matcher.push("abS") == "ab");
  CHECK(matcher.push("T") == "");
  CHECK(matcher.push("x") == "STx");
  CHECK(matcher.push("SSTO") == "S");
  CHECK_FALSE(matcher.matched());
  CHECK(matcher.push("P more") == "");
  CHECK(matcher.matched() == 0);
  CHECK(matcher.push("never shown") == "");
  CHECK(matcher.finish() == "");
}

TEST_CASE("what is held back comes at the end when no stop string was completed") {
  CHECK(run({"\n\nUser:"}, {"done\n", "\nUs"}) == outcome{"done\n\nUs", std::nullopt});
}

TEST_CASE("the stop string is kept when asked") {
  CHECK(run({"END"}, {"a E", "ND b"}, true) == outcome{"a END", 0});
  CHECK(run({"END"}, {"a E", "ND b"}, false) == outcome{"a ", 0});
}

TEST_CASE("without stop strings everything goes on at once") {
  stop_matcher matcher({});
  CHECK(matcher.push("all of it") == "all of it");
}

TEST_CASE("whole characters in, whole characters out") {
  stop_matcher matcher({"é!"});
  CHECK(matcher.push("aé") == "a");
  CHECK(matcher.push("è") == "éè");
}

TEST_CASE("stop strings that cannot be used are named") {
  CHECK(stop_matcher::problem_with({"a", "b"}).empty());
  CHECK(stop_matcher::problem_with(strings(16, "x")).empty());
  CHECK_FALSE(stop_matcher::problem_with(strings(17, "x")).empty());
  CHECK(stop_matcher::problem_with({"a", ""}) == "stop string 1 is empty");
  CHECK(stop_matcher::problem_with({std::string(257, 'x')}) == "stop string 0 has 257 bytes; 256 are the most");
  CHECK(stop_matcher::problem_with({"\xFF"}) == "stop string 0 is not valid UTF-8");
}
