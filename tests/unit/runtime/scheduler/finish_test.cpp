// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const performance& play(rehearsal& stage, generation_request request) {
  const auto id = request.id;
  REQUIRE(stage.enqueue(std::move(request)).accepted());
  stage.run_until_idle();
  REQUIRE(stage.of(id).endings == 1);
  return stage.of(id);
}

/// The tokens that follow the prompt when nothing stops them.
std::vector<token_id> undisturbed(const generation_request& request) {
  return rehearsal(small_options()).sequential(request);
}

/// The first position at which a token stands that did not occur before.
std::size_t first_new(const std::vector<token_id>& tokens, std::size_t from) {
  while (std::find(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(from), tokens[from]) !=
         tokens.begin() + static_cast<std::ptrdiff_t>(from))
    ++from;
  return from;
}

}  // namespace

TEST_CASE("a sequence that reaches max_tokens ends with length") {
  rehearsal stage(small_options());
  const auto& seen = play(stage, ask(1, prompt_of(5, 1), 7));
  CHECK(seen.finish == finish_reason::length);
  CHECK(seen.output.size() == 7);
}

TEST_CASE("a sequence that reaches the end of the context ends with length") {
  auto options = small_options();
  options.context_length = 20;
  rehearsal stage(options);
  const auto& seen = play(stage, ask(1, prompt_of(15, 1), 100));
  CHECK(seen.finish == finish_reason::length);
  CHECK(seen.output.size() == 5);
}

TEST_CASE("a sequence that fills the KV memory ends with length") {
  auto options = small_options();
  options.blocks = 4;
  rehearsal stage(options);
  const auto& seen = play(stage, ask(1, prompt_of(10, 1), 100));
  CHECK(seen.finish == finish_reason::length);
  CHECK(seen.output.size() == 7);  // 16 tokens have a place, and the last one needs none
}

TEST_CASE("each of several EOS ids ends a sequence with stop, and its token is shown") {
  const auto request = ask(1, prompt_of(5, 1), 40);
  const auto expected = undisturbed(request);
  for (const auto from : {std::size_t{4}, std::size_t{12}}) {
    const auto at = first_new(expected, from);
    auto options = small_options();
    options.eos_ids = {rehearsal::vocabulary, expected[at], rehearsal::vocabulary + 1};
    rehearsal stage(options);
    const auto& seen = play(stage, request);
    CHECK(seen.finish == finish_reason::stop);
    CHECK(seen.output.size() == at + 1);
    CHECK(seen.output.back() == expected[at]);
  }
}

TEST_CASE("a stop id of the request ends it with stop") {
  auto request = ask(1, prompt_of(5, 1), 40);
  const auto expected = undisturbed(request);
  const auto at = first_new(expected, 6);
  request.stops.stop_ids = {rehearsal::vocabulary, expected[at]};
  rehearsal stage(small_options());
  const auto& seen = play(stage, request);
  CHECK(seen.finish == finish_reason::stop);
  CHECK(seen.output.size() == at + 1);
}

TEST_CASE("ignore_eos ignores the model's EOS ids and not the request's stop ids") {
  auto request = ask(1, prompt_of(5, 1), 40);
  const auto expected = undisturbed(request);
  const auto eos = first_new(expected, 3);
  const auto stop = first_new(expected, eos + 1);
  auto options = small_options();
  options.eos_ids = {expected[eos]};
  request.stops.ignore_eos = true;
  request.stops.stop_ids = {expected[stop]};
  rehearsal stage(options);
  const auto& seen = play(stage, request);
  CHECK(seen.finish == finish_reason::stop);
  CHECK(seen.output.size() == stop + 1);
}

TEST_CASE("a stop token in the last place is a stop, not a length") {
  auto request = ask(1, prompt_of(5, 1), 40);
  const auto expected = undisturbed(request);
  const auto at = first_new(expected, 6);
  request.stops.stop_ids = {expected[at]};
  request.stops.max_tokens = static_cast<std::uint32_t>(at + 1);
  rehearsal stage(small_options());
  CHECK(play(stage, request).finish == finish_reason::stop);
}

TEST_CASE("a resumed request continues where it was and counts max_tokens from its prompt") {
  auto request = ask(1, prompt_of(5, 1), 12);
  const auto expected = undisturbed(request);
  request.tokens.insert(request.tokens.end(), expected.begin(), expected.begin() + 7);
  rehearsal stage(small_options());
  const auto& seen = play(stage, request);
  CHECK(seen.output == std::vector(expected.begin() + 7, expected.end()));
  CHECK(seen.finish == finish_reason::length);
}

TEST_CASE("a resumed request that had ended is told how") {
  rehearsal stage(small_options());
  auto full = ask(1, prompt_of(5, 1), 2);
  full.tokens.insert(full.tokens.end(), {8, 9});
  auto answer = stage.enqueue(full);
  CHECK(answer.reason == refusal::nothing_left);
  CHECK(answer.finish == finish_reason::length);
  auto stopped = ask(1, prompt_of(5, 1), 10);
  stopped.tokens.insert(stopped.tokens.end(), {8, 9});
  stopped.stops.stop_ids = {9};
  answer = stage.enqueue(stopped);
  CHECK(answer.reason == refusal::nothing_left);
  CHECK(answer.finish == finish_reason::stop);
}

TEST_CASE("a stop id in the prompt does not end a request") {
  auto request = ask(1, {4, 9}, 3);
  request.stops.stop_ids = {9};
  rehearsal stage(small_options());
  CHECK(stage.enqueue(request).accepted());
}
