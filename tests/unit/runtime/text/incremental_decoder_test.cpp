// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/incremental_decoder.hpp"

#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "runtime/text/tokenizer.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"

namespace {

const troupe::tokenizer& reference() {
  static const auto t = troupe::tokenizer::from_folder(TROUPE_SOURCE_DIR "/tests/data/tokenizer");
  return t;
}

// The increments, each checked to be whole characters.
std::string decoded_in_steps(const std::vector<troupe::token_id>& ids, bool skip_special) {
  troupe::incremental_decoder decoder(reference(), {skip_special, false});
  std::string all;
  for (const troupe::token_id id : ids) {
    const std::string increment = decoder.push(id);
    REQUIRE_FALSE(troupe::find_invalid_utf8(increment));
    all += increment;
  }
  return all + decoder.finish();
}

}  // namespace

TEST_CASE("the increments together are what decoding everything gives, and none is half a character") {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<troupe::token_id> ids(random() % 40);
    for (auto& id : ids)
      id = static_cast<troupe::token_id>(random() % reference().vocabulary_size());
    for (const bool skip_special : {false, true})
      REQUIRE(decoded_in_steps(ids, skip_special) == reference().decode(ids, skip_special));
  }
}

TEST_CASE("a character split over several tokens comes out whole with its last token") {
  const auto ids = reference().encode("🦜");
  REQUIRE(ids.size() > 1);
  troupe::incremental_decoder decoder(reference());
  for (std::size_t i = 0; i + 1 < ids.size(); ++i)
    CHECK(decoder.push(ids[i]).empty());
  CHECK(decoder.push(ids.back()) == "🦜");
  CHECK(decoder.finish().empty());
}

TEST_CASE("a character that never becomes whole is replaced at the end, once") {
  const auto ids = reference().encode("🦜");
  troupe::incremental_decoder decoder(reference());
  CHECK(decoder.push(ids.front()).empty());
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.finish().empty());
}

TEST_CASE("mixed scripts survive being decoded token by token") {
  for (const std::string text : {"中文字符", "مَرْحَبًا", "e\u0301 ▁ ▁x", "👨‍👩‍👧 family", "\n\n \t"}) {
    const auto ids = reference().encode(text);
    CHECK(decoded_in_steps(ids, true) == reference().decode(ids));
  }
}

TEST_CASE("special tokens are left out when asked, unknown ids are an error unless skipped") {
  const auto end = *reference().find("<|im_end|>");
  const auto unknown = static_cast<troupe::token_id>(reference().vocabulary_size());
  CHECK(decoded_in_steps({39, end}, true) == "H");
  CHECK(decoded_in_steps({39, end}, false) == "H<|im_end|>");
  troupe::incremental_decoder strict(reference());
  CHECK_THROWS_AS(strict.push(unknown), troupe::tokenizer_error);
  CHECK_THROWS_AS(strict.push(-1), troupe::tokenizer_error);
  troupe::incremental_decoder lenient(reference(), {true, true});
  CHECK(lenient.push(unknown).empty());
  CHECK(lenient.push(-1).empty());
}
