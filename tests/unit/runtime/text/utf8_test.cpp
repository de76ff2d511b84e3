// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/utf8.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>

#include "runtime/text/utf8_assembler.hpp"

using troupe::find_invalid_utf8;

namespace {

std::string assembled(std::string_view bytes, std::size_t increment) {
  troupe::utf8_assembler assembler;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += increment)
    assembler.push(bytes.substr(i, increment), text);
  assembler.finish(text);
  return text;
}

}  // namespace

TEST_CASE("the first byte that is not UTF-8 is found") {
  CHECK_FALSE(find_invalid_utf8(""));
  CHECK_FALSE(find_invalid_utf8("plain, and more than eight bytes long"));
  CHECK_FALSE(find_invalid_utf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80"));
  CHECK(find_invalid_utf8("abcdefghij\xFF") == 10);
  CHECK(find_invalid_utf8("\xC0\x80") == 0);          // overlong
  CHECK(find_invalid_utf8("a\xE0\x9F\xBF") == 1);     // overlong
  CHECK(find_invalid_utf8("\xF0\x8F\xBF\xBF") == 0);  // overlong
  CHECK(find_invalid_utf8("\xED\xA0\x80") == 0);      // surrogate
  CHECK(find_invalid_utf8("\xF4\x90\x80\x80") == 0);  // above U+10FFFF
  CHECK(find_invalid_utf8("\xF5\x80\x80\x80") == 0);
  CHECK(find_invalid_utf8("\xE4\xBD\xA0\xE4\xBD") == 3);  // cut off
  CHECK(find_invalid_utf8("\x80") == 0);
}

TEST_CASE("bytes that are no character become what Python's errors='replace' makes of them") {
  // Made with Python: bytes.decode("utf-8", "replace").
  const std::pair<std::string, std::string> cases[] = {
      {"a\xFFz", "a\xEF\xBF\xBDz"},
      {"\xE4\xBD", "\xEF\xBF\xBD"},
      {"\xE4\xBDz", "\xEF\xBF\xBDz"},
      {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xF0\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xC3\xC3\xA9", "\xEF\xBF\xBD\xC3\xA9"},
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  for (const auto& [bytes, expected] : cases)
    for (std::size_t increment = 1; increment <= bytes.size(); ++increment)
      CHECK(assembled(bytes, increment) == expected);
}
