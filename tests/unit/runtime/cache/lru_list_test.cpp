// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/lru_list.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

namespace {

std::vector<std::int32_t> content(const lru_list& list) {
  std::vector<std::int32_t> items;
  for (auto item = list.oldest(); item != lru_list::none; item = list.next(item))
    items.push_back(item);
  return items;
}

}  // namespace

TEST_CASE("an order of use keeps what is left when items leave its ends and its middle") {
  std::mt19937 random(7);
  lru_list list(20);
  std::vector<std::int32_t> expected;
  for (int i = 0; i < 2000; ++i) {
    const auto item = static_cast<std::int32_t>(random() % 20);
    if (const auto found = std::ranges::find(expected, item); found != expected.end()) {
      list.remove(item);
      expected.erase(found);
    } else {
      list.push_newest(item);
      expected.push_back(item);
    }
    REQUIRE(content(list) == expected);
    REQUIRE(list.size() == expected.size());
    REQUIRE(list.contains(item) == (!expected.empty() && expected.back() == item));
  }
}
