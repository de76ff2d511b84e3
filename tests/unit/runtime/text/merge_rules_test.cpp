// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/merge_rules.hpp"

#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using troupe::merge_rules;
using troupe::token_id;

namespace {

// The definition, word for word: the pair of the smallest rank, the leftmost of equals, again and again.
std::vector<token_id> merged_by_definition(const merge_rules& rules, std::vector<token_id> ids) {
  while (true) {
    std::size_t best = ids.size();
    merge_rules::rule best_rule;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto rule = rules.find(ids[i], ids[i + 1]); rule.rank < best_rule.rank) {
        best = i;
        best_rule = rule;
      }
    if (best == ids.size()) return ids;
    ids[best] = best_rule.merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("short and long words are merged in the order that the ranks give") {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    merge_rules rules;
    const int letters = 2 + static_cast<int>(random() % 3);
    const int tokens = letters + 1 + static_cast<int>(random() % 12);
    for (int t = letters; t < tokens; ++t)
      rules.add(static_cast<token_id>(random() % t), static_cast<token_id>(random() % t),
                {static_cast<std::uint32_t>(random() % 8), t});
    for (const std::size_t length : {0U, 1U, 2U, 7U, 24U, 25U, 26U, 90U}) {
      std::vector<token_id> word;
      for (std::size_t i = 0; i < length; ++i)
        word.push_back(static_cast<token_id>(random() % letters));
      const auto expected = merged_by_definition(rules, word);
      rules.apply(word);
      REQUIRE(word == expected);
    }
  }
}

TEST_CASE("a word of a million equal letters is merged without looking at every pair again and again") {
  merge_rules rules;
  for (token_id t = 0; t < 19; ++t)
    rules.add(t, t, {static_cast<std::uint32_t>(t), t + 1});
  std::vector<token_id> word(1U << 20U, 0);
  rules.apply(word);
  CHECK(word == std::vector<token_id>{19, 19});
}
