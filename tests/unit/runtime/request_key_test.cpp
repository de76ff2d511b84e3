// SPDX-License-Identifier: Apache-2.0
#include "runtime/request_key.hpp"

#include <set>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

TEST_CASE("a key is read back from its digits, and from nothing else") {
  const request_key key{0x0123456789abcdefU, 0xfedcba9876543210U};
  CHECK(to_string(key) == "0123456789abcdeffedcba9876543210");
  CHECK(parse_request_key(to_string(key)) == key);
  for (const char* wrong :
       {"", "0", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba98765432100",
        "0123456789abcdeffedcba987654321g", "00000000000000000000000000000000", "-123456789abcdef-edcba9876543210"})
    CHECK(!parse_request_key(wrong));
}

TEST_CASE("keys made at random, and those of choices, differ") {
  std::set<request_key> keys;
  for (int i = 0; i < 100; ++i) {
    const auto key = make_request_key();
    for (std::uint64_t choice = 0; choice < 16; ++choice)
      keys.insert(key_of_choice(key, choice));
  }
  CHECK(keys.size() == 1600);
}

TEST_CASE("a fingerprint changes with everything that changes the answer, and not with seed, priority and deadline") {
  generation what;
  what.prompt.text = "hello";
  const auto before = fingerprint_of(what);
  auto changed = [&](auto change) {
    auto other = what;
    change(other);
    return fingerprint_of(other) != before;
  };
  CHECK(changed([](generation& x) { x.prompt.text = "hallo"; }));
  CHECK(changed([](generation& x) { x.prompt.messages.push_back({"user", "hello"}); }));
  CHECK(changed([](generation& x) { x.prompt.tokens = {1}; }));
  CHECK(changed([](generation& x) { x.sampling.temperature = 0.5F; }));
  CHECK(changed([](generation& x) { x.sampling.logit_bias = {{1, 1.0F}}; }));
  CHECK(changed([](generation& x) { x.stops.max_tokens = 17; }));
  CHECK(changed([](generation& x) { x.stop_strings = {"a"}; }));
  CHECK(!changed([](generation& x) { x.sampling.seed = 1; }));
  CHECK(!changed([](generation& x) { x.priority = 1; }));
  CHECK(!changed([](generation& x) { x.deadline_ms = 1; }));
  auto other = what;
  other.sampling.seed = 1;
  CHECK(!same_request(what, other));
  what.draw_seed = other.draw_seed = true;
  CHECK(same_request(what, other));
}
