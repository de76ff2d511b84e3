// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/normalizer.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>

#include "runtime/text/utf8.hpp"

using troupe::to_nfc;

TEST_CASE("text is composed to normal form C") {
  CHECK(to_nfc("e\u0301") == "\u00e9");
  CHECK(to_nfc("q\u0307\u0323") == "q\u0323\u0307");  // marks in canonical order
  CHECK(to_nfc("\u1112\u1161\u11ab") == "\ud55c");    // Hangul
  CHECK(to_nfc("\u212b") == "\u00c5");                // a singleton
  CHECK(to_nfc("\u0958") == "\u0915\u093c");          // excluded from composition
  CHECK(to_nfc(std::string("a\0e\u0301", 5)) == std::string("a\0\u00e9", 4));
  CHECK(to_nfc("") == "");
}

TEST_CASE("a long run of marks is put in order without comparing each with each") {
  std::string text = "e";
  std::string below;
  std::string above;
  for (int i = 0; i < 300'000; ++i) {
    text += "\u0301\u0323";
    below += i == 0 ? "" : "\u0323";
    above += "\u0301";
  }
  CHECK(to_nfc(text) == "\u1EB9" + below + above);
}

TEST_CASE("marks younger than Unicode 9 stay where they are, as in Hugging Face's normalizer") {
  CHECK(to_nfc("x\u0301\u08d3e\u0301") == "x\u0301\u08d3\u00e9");  // U+08D3 would move before U+0301 today
}

TEST_CASE("what is called plainly normal is not changed by normalizing") {
  for (char32_t c = 1; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text = "e";
    troupe::append_utf8(text, c);
    if (!troupe::is_plainly_nfc(text)) continue;
    // A mark that composes with nothing makes the whole text go the long way.
    REQUIRE(to_nfc(text + "\u0488") == text + "\u0488");
  }
}
