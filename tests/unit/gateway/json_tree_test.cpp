// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/json_tree.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fmt/format.h>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

std::string refusal_of(const std::string& text) {
  auto parsed = parse_json(text);
  const auto* refusal = std::get_if<json_refusal>(&parsed);
  return refusal ? refusal->message : std::string();
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("a document is read with its types") {
  auto tree =
      std::get<json_tree>(parse_json(R"({"a": -5, "b": 18446744073709551615, "c": 1.5, "d": "é", "e": [true, null]})"));
  REQUIRE(tree.entries.size() == 5);
  CHECK(tree.entries[0].value.negative);
  CHECK(tree.entries[0].value.magnitude == 5);
  CHECK(tree.entries[1].value.magnitude == UINT64_MAX);
  CHECK(tree.entries[2].value.what == json_tree::kind::real);
  CHECK(tree.entries[3].value.text == "é");
  CHECK(tree.entries[4].value.items.at(0).flag);
  CHECK(tree.entries[4].value.items.at(1).what == json_tree::kind::null);
}

TEST_CASE("the smallest integer is read without overflow") {
  auto tree = std::get<json_tree>(parse_json("-9223372036854775808"));
  CHECK(tree.negative);
  CHECK(tree.magnitude == std::uint64_t{1} << 63);
}

TEST_CASE("depth, keys, values and strings are bounded at their limits") {
  CHECK(refusal_of(nested(32)).empty());
  CHECK_THAT(refusal_of(nested(33)), Equals("the body is nested deeper than 32 levels; send a flatter one"));
  CHECK_THAT(refusal_of(std::string(4 << 20, '[')), ContainsSubstring("nested deeper than 32 levels"));
  std::string keys;
  for (int i = 0; i < 10000; ++i)
    keys += fmt::format("\"{}\":0,", i);
  CHECK(refusal_of(fmt::format("{{{}}}", keys.substr(0, keys.size() - 1))).empty());
  CHECK_THAT(refusal_of(fmt::format("{{{}\"x\":0}}", keys)), ContainsSubstring("more than 10,000 keys"));
  std::string values = "[";
  for (int i = 0; i < 400000; ++i)
    values += "0,";
  CHECK_THAT(refusal_of(values + "0]"), ContainsSubstring("more than 400,000 values"));
  CHECK(refusal_of(fmt::format("\"{:x>{}}\"", "", 4 << 20)).empty());
  CHECK_THAT(refusal_of(fmt::format("\"{:x>{}}\"", "", (4 << 20) + 1)), ContainsSubstring("longer than 4 MiB"));
}

TEST_CASE("what is no JSON is refused with the place and without a copy of itself") {
  CHECK_THAT(refusal_of(""), ContainsSubstring("no valid JSON at byte 1"));
  for (const auto* bad :
       {"{", "{]", "nul", "01", "{\"a\":1,}", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "1e999", "{} {}", "NaN"})
    CHECK_THAT(refusal_of(bad), ContainsSubstring("no valid JSON at byte"));
  CHECK(refusal_of(fmt::format("\"{:x>{}}", "", 100000)).size() < 200);
}

TEST_CASE("a key that is there twice is refused") {
  CHECK_THAT(refusal_of(R"({"a": 1, "a": 2})"), Equals("the key a is there twice in one object; send it once"));
  CHECK_THAT(refusal_of(R"({"a": 1, "\u0061": 2})"), ContainsSubstring("is there twice"));
  CHECK(refusal_of(R"([{"a": 1}, {"a": 2}])").empty());
}
