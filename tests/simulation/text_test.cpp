// SPDX-License-Identifier: Apache-2.0
// Tokenizer and detokenizer actors, with the demo model's text.
#include <functional>
#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "actors/detokenizer.hpp"
#include "actors/tokenizer.hpp"
#include "tests/support/deterministic_system.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

struct text_pair : deterministic_system {
  prompt_encoder text = prompt_encoder::from_folder(TROUPE_SOURCE_DIR "/models/demo");
  tokenizer_actor encode = system.spawn<tokenizer_impl>(std::make_shared<const prompt_encoder>(text));
  detokenizer_actor decoder = system.spawn<detokenizer_impl>(text.vocabulary());

  /// Asks one of them; the error's sentence when there was one.
  template <class Result, class Handle, class Message>
  std::optional<Result> ask(const Handle& actor, Message message, std::string* sentence = nullptr) {
    auto result = std::make_shared<std::optional<Result>>();
    auto failure = std::make_shared<std::string>();
    system.spawn([=](caf::event_based_actor* self) {
      self->request(actor, caf::infinite, message)
          .then([result](Result& value) { *result = std::move(value); },
                [failure](const caf::error& reason) { *failure = describe(reason); });
    });
    settle();
    if (sentence) *sentence = *failure;
    return *result;
  }

  std::vector<token_id> ids_of(const std::string& words) {
    return ask<tokenized>(encode, tokenize{{prompt_kind::text, words, {}, {}}})->tokens;
  }
  decoded_piece decode_tokens(request_id request, std::vector<token_id> tokens, bool last = false) {
    return ask<text_decoded>(decoder, decode{{{request, std::move(tokens), last}}})->pieces.front();
  }
};

}  // namespace

TEST_CASE("text goes to ids and back through the actors") {
  text_pair actors;
  auto ids = actors.ids_of("What is 7 + 5?");
  REQUIRE(!ids.empty());
  caf::anon_send(actors.decoder, open_text{{1}, {}, false});
  CHECK(actors.decode_tokens({1}, ids, true).text == "What is 7 + 5?");
}

TEST_CASE("a prompt that is not UTF-8 is the client's error, and the tokenizer goes on") {
  text_pair actors;
  std::string sentence;
  CHECK(!actors.ask<tokenized>(actors.encode, tokenize{{prompt_kind::text, "ab\xff", {}, {}}}, &sentence));
  CHECK_THAT(sentence, ContainsSubstring("UTF-8"));
  CHECK(!actors.ids_of("again").empty());
}

TEST_CASE("a stop string ends the text before it, counts its tokens, and closes the request's state") {
  text_pair actors;
  auto ids = actors.ids_of("one two three");
  caf::anon_send(actors.decoder, open_text{{1}, {"two"}, false});
  auto piece = actors.decode_tokens({1}, ids);
  CHECK(piece.stopped);
  CHECK(piece.text == "one ");
  CHECK(piece.tokens < ids.size());
  CHECK_THAT(actors.decode_tokens({1}, ids).error, ContainsSubstring("closed"));
}

TEST_CASE("nothing of a closed request is kept") {
  text_pair actors;
  auto ids = actors.ids_of("words");
  caf::anon_send(actors.decoder, open_text{{1}, {}, false});
  actors.decode_tokens({1}, ids);
  caf::anon_send(actors.decoder, close_text{{1}});
  CHECK_THAT(actors.decode_tokens({1}, ids).error, ContainsSubstring("closed"));
}

TEST_CASE("opening a request again starts its text from nothing") {
  text_pair actors;
  auto ids = actors.ids_of("some words");
  caf::anon_send(actors.decoder, open_text{{1}, {}, false});
  actors.decode_tokens({1}, ids);
  caf::anon_send(actors.decoder, open_text{{1}, {}, false});
  CHECK(actors.decode_tokens({1}, ids, true).text == "some words");
}
