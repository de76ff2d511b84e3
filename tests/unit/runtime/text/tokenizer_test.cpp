// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/tokenizer.hpp"

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/text/byte_level.hpp"
#include "runtime/text/tokenizer_error.hpp"

using Catch::Matchers::ContainsSubstring;
using troupe::token_id;
using troupe::tokenizer;
using ids = std::vector<token_id>;

namespace {

// All bytes by value, then "ab" (256), "abc" (257), "bc" (258, which no merge makes), "<s>" (259), "<x>" (260).
troupe::tokenizer_definition small_definition() {
  troupe::tokenizer_definition d;
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    d.model.tokens.emplace_back(troupe::spelling_of_bytes(std::string_view(&one, 1)), byte);
  }
  d.model.tokens.insert(d.model.tokens.end(), {{"ab", 256}, {"abc", 257}, {"bc", 258}});
  d.model.merges = {{"a", "b"}, {"ab", "c"}};
  d.pre_tokenizer = {{false, std::string(troupe::byte_level_pattern)}};
  d.added_tokens.push_back({259, "<s>", false, false, false, false, true});
  d.added_tokens.push_back({260, "<x>", false, true, true, false, false});
  d.prefix = {259};
  return d;
}

}  // namespace

TEST_CASE("merges make a word's tokens, ignore_merges takes a word that is a token as it is") {
  auto d = small_definition();
  CHECK(tokenizer(d).encode("abc") == ids{257});
  CHECK(tokenizer(d).encode("bc") == ids{'b', 'c'});
  d.model.ignore_merges = true;
  CHECK(tokenizer(d).encode("bc") == ids{258});
  CHECK(tokenizer(d).encode("bca") == ids{'b', 'c', 'a'});
}

TEST_CASE("special tokens are put around a text only when asked, and found in a text unless not wanted") {
  const tokenizer t(small_definition());
  CHECK(t.encode("ab<s>") == ids{256, 259});
  CHECK(t.encode("ab", {.add_special_tokens = true}) == ids{259, 256});
  CHECK(t.encode("", {.add_special_tokens = true}) == ids{259});
  CHECK(t.encode("<s>", {.find_special_tokens = false}) == ids{'<', 's', '>'});
  CHECK(t.encode("<x>", {.find_special_tokens = false}) == ids{260});
}

TEST_CASE("an added token takes the white space beside it along when its file says so") {
  const tokenizer t(small_definition());
  CHECK(t.encode("a \n<x>\u3000 b") == ids{'a', 260, 'b'});
  CHECK(t.decode(t.encode("a <x> b")) == "a<x>b");
}

TEST_CASE("decoding leaves special tokens out when asked and refuses what is no token") {
  const tokenizer t(small_definition());
  CHECK(t.decode(ids{259, 256, 260}, true) == "ab<x>");
  CHECK(t.decode(ids{259, 256, 260}, false) == "<s>ab<x>");
  CHECK(t.vocabulary_size() == 261);
  CHECK_THROWS_WITH(t.decode(ids{261}), "261 is not the id of a token; ids lie between 0 and 260");
  CHECK_THROWS_AS(t.decode(ids{-1}), troupe::tokenizer_error);
  CHECK_FALSE(t.is_special(-5));
  CHECK_FALSE(t.is_special(1'000'000));
}

TEST_CASE("a token is found by the spelling of its file") {
  const tokenizer t(small_definition());
  CHECK(t.find("<s>") == 259);
  CHECK(t.find("abc") == 257);
  CHECK(t.find("Ġ") == ' ');
  CHECK_FALSE(t.find("nothing"));
  CHECK(t.is_special(259));
  CHECK_FALSE(t.is_special(260));
  CHECK(t.token_bytes(' ') == " ");
}

TEST_CASE("a text that is too long or not UTF-8 is refused, naming the limit or the byte") {
  const tokenizer t(small_definition());
  CHECK_THROWS_WITH(t.encode("abc", {.bytes_max = 2}), "the text has 3 bytes; 2 are the most");
  CHECK_THROWS_WITH(t.encode("abc\xC3"), "the text is not valid UTF-8 at byte 3");
  CHECK(t.encode(std::string_view("\0", 1)) == ids{0});
}

TEST_CASE("a definition that contradicts itself is refused") {
  auto d = small_definition();
  d.model.tokens[3].second = 4;
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("the id 4 is given to two tokens"));
  d = small_definition();
  d.model.tokens.erase(d.model.tokens.begin() + 0x41);
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("no token 'A' for the byte 0x41"));
  d = small_definition();
  d.model.merges.emplace_back("a", "zz");
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("merge 2 uses the token 'zz'"));
  d = small_definition();
  d.model.merges.emplace_back("x", "y");
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("'xy', which is not in the vocabulary"));
  d = small_definition();
  d.added_tokens.push_back(d.added_tokens[0]);
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("'<s>' is there twice"));
  d = small_definition();
  d.added_tokens[0].content.clear();
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("is 0 bytes long"));
  d = small_definition();
  d.prefix = {999};
  CHECK_THROWS_WITH(tokenizer(d), ContainsSubstring("adds the id 999"));
}

TEST_CASE("a word of a million letters is encoded") {
  const tokenizer t(small_definition());
  const std::string text = std::string(1'000'000, 'a') + "b";
  const ids encoded = t.encode(text);
  CHECK(encoded.size() == 1'000'000);
  CHECK(encoded.back() == 256);
}
