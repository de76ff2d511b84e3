// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/answer_decoder.hpp"

#include <random>

#include <catch2/catch_test_macros.hpp>

#include "runtime/text/prompt_encoder.hpp"

using namespace troupe;

namespace {

struct fold {
  std::string text;
  bool stopped = false;
};

fold whole(const prompt_encoder& model, const std::vector<token_id>& tokens, const std::vector<std::string>& stops,
           std::size_t count, bool last) {
  answer_decoder decoder{model.vocabulary(), stops, false};
  auto result = decoder.feed(std::span{tokens}.first(count), last);
  return {result.text, result.stopped};
}

}  // namespace

TEST_CASE("the text of an answer that is begun again after any token is the text that was given before") {
  const auto model = prompt_encoder::from_folder(TROUPE_SOURCE_DIR "/models/demo");
  std::mt19937 random(7);
  const auto size = static_cast<std::uint32_t>(model.vocabulary()->vocabulary_size());
  for (int round = 0; round < 40; ++round) {
    std::vector<token_id> tokens;
    for (int i = 0; i < 60; ++i)
      tokens.push_back(static_cast<token_id>(random() % size));
    // Some stop strings come up, most do not; some are cut by the border of a token.
    const auto all = whole(model, tokens, {}, tokens.size(), true).text;
    std::vector<std::string> stops{"a stop that never comes"};
    if (round % 2 == 0 && all.size() > 40) stops.push_back(all.substr(all.size() / 2, 3));
    if (stops.back().find('\xef') != std::string::npos || stop_matcher::problem_with(stops) != "") stops.pop_back();
    answer_decoder step_by_step{model.vocabulary(), stops, false};
    std::string given;
    for (std::size_t count = 1; count <= tokens.size(); ++count) {
      const auto last = count == tokens.size();
      const auto step = step_by_step.feed(std::span{tokens}.subspan(count - 1, 1), last);
      given += step.text;
      const auto again = whole(model, tokens, stops, count, last);
      REQUIRE(again.text == given);
      REQUIRE(again.stopped == step.stopped);
      if (step.stopped) break;
    }
  }
}
