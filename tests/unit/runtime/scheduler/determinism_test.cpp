// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

bool same(const step_entry& a, const step_entry& b) {
  return a.sequence == b.sequence && a.position == b.position && a.tokens == b.tokens &&
         a.feed_sampled == b.feed_sampled && a.sample == b.sample && a.new_blocks == b.new_blocks;
}

bool same(const sequence_start& a, const sequence_start& b) {
  return a.sequence == b.sequence && a.sampling == b.sampling && a.prompt_tokens == b.prompt_tokens &&
         a.cached_tokens == b.cached_tokens && a.blocks == b.blocks;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(a, b, [](const T& x, const T& y) { return same(x, y); });
}

bool same(const step_plan& a, const step_plan& b) {
  return a.epoch == b.epoch && a.step == b.step && a.ended == b.ended && same(a.started, b.started) &&
         same(a.entries, b.entries);
}

}  // namespace

TEST_CASE("the same requests give the same plans, block for block") {
  auto options = small_options();
  options.blocks = 16;
  options.plans_in_flight = 2;
  options.feed_sampled = true;
  options.eos_ids = {5};
  rehearsal one(options);
  rehearsal two(options);
  for (std::uint32_t id = 1; id <= 200; ++id) {
    // Ids that hash anywhere; plans do not depend on them.
    one.enqueue(ask(id * 0x9e3779b97f4a7c15U, prompt_of(1 + id % 17, id % 9), 1 + id % 23));
    two.enqueue(ask(id, prompt_of(1 + id % 17, id % 9), 1 + id % 23));
    for (int i = 0; i < 2; ++i) {
      const auto* a = one.plan();
      const auto* b = two.plan();
      REQUIRE((a == nullptr) == (b == nullptr));
      if (a != nullptr) REQUIRE(same(*a, *b));
    }
    one.complete();
    two.complete();
  }
  CHECK(one.stats().preemptions > 0);
}
