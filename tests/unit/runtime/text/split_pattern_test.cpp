// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/split_pattern.hpp"

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/text/pre_tokenizer.hpp"
#include "runtime/text/split_regex.hpp"
#include "runtime/text/tokenizer_error.hpp"

using Catch::Matchers::ContainsSubstring;

namespace {

class collector final : public troupe::piece_sink {
 public:
  void piece(std::string_view text) override { pieces.emplace_back(text); }
  std::vector<std::string> pieces;
};

using strings = std::vector<std::string>;

strings pieces_of(std::string_view pattern, std::string_view text) {
  collector c;
  troupe::split_regex(pattern).split(text, c);
  return c.pieces;
}

}  // namespace

TEST_CASE("a text is cut into the matches and what lies between them") {
  CHECK(pieces_of(R"(\p{L}+)", "ab12cd!") == strings{"ab", "12", "cd", "!"});
  CHECK(pieces_of(R"(\s+(?!\S)|\s+)", "a   b  ") == strings{"a", "  ", " ", "b", "  "});
  CHECK(pieces_of(R"(x*)", "axxb") == strings{"a", "xx", "b"});
  CHECK(pieces_of(R"(a)", "").empty());
  CHECK(pieces_of(troupe::byte_level_pattern, "I'll  go 12.") == strings{"I", "'ll", " ", " go", " 12", "."});
}

TEST_CASE("white space is what Oniguruma calls so") {
  CHECK(pieces_of(R"(\s)", "a\u180eb") == strings{"a\u180eb"});
  CHECK(pieces_of(R"(\s)", "a\u0085b\u2028c") == strings{"a", "\u0085", "b", "\u2028", "c"});
  CHECK(pieces_of(R"([^\s]+)", "a\u3000b") == strings{"a", "\u3000", "b"});
  CHECK(pieces_of(R"([\S]+)", "a\u3000b\x1c") == strings{"a", "\u3000", "b\x1c"});
}

TEST_CASE("ignoring case knows the letters that fold to ASCII") {
  CHECK(pieces_of(R"((?i:'s|'ll))", "x'\u017Fy'LLz") == strings{"x", "'\u017F", "y", "'LL", "z"});
}

TEST_CASE("a construct that the two libraries read differently is refused by name") {
  const std::pair<std::string, std::string> cases[] = {
      {R"(\p{N}{1,3}+)", "'+' at byte 10"},
      {R"(\w+)", R"('\w')"},
      {R"(\p{Han})", R"('\p{Han}')"},
      {R"([a&&b])", "'&&'"},
      {R"([a[bc]])", "'[b'"},
      {R"(^a)", "'^'"},
      {R"(a.b)", "'.'"},
      {R"((?<name>a))", "'(?<n'"},
      {R"((a+)+b)", "'+'"},
      {R"((a|b)*)", "'*'"},
      {R"(a{,3})", "'{,3}'"},
      {R"(a{2}?)", "'?'"},
      {R"((?i:stop))", "'st'"},
      {R"((?i:é))", "not supported"},
      {R"(\1)", R"('\1')"},
      {R"(+a)", "'+'"},
      {R"([a)", "[ without ]"},
      {R"(a))", "')'"},
      {R"(\h)", R"('\h')"},
      {R"(a**)", "'*'"},
      {R"(\p{L)", R"('\p{')"},
  };
  for (const auto& [pattern, named] : cases) {
    INFO(pattern);
    CHECK_THROWS_WITH(troupe::to_pcre2(pattern), ContainsSubstring(named));
  }
  CHECK_THROWS_AS(troupe::to_pcre2(std::string(5000, 'a')), troupe::tokenizer_error);
  CHECK_THROWS_AS(troupe::split_regex("(a"), troupe::tokenizer_error);
  CHECK_THROWS_AS(troupe::split_regex("[z-a]"), troupe::tokenizer_error);
}

TEST_CASE("a pattern that backtracks without end is stopped with an error") {
  const std::string text(20'000, 'a');
  collector c;
  CHECK_THROWS_AS(troupe::split_regex("a*a*a*a*[bc]").split(text, c), troupe::tokenizer_error);
}
