// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/sequence_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/engine/engine_error.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr sequence_limits limits{100, 64, 16, 8, 40, true};

/// A table with sequence 1 fed 16 tokens in block 0, in step 1.
struct fed_table {
  sequence_table table{limits};
  fed_table() { table.apply(first_step()); }

  static step_plan first_step() {
    step_plan plan{{1}, 1, {}, {}, {}};
    sequence_start start;
    start.sequence = {1};
    start.prompt_tokens = 16;
    plan.started.push_back(start);
    plan.entries.push_back({{1}, 0, std::vector<token_id>(16, 5), false, true, {0}});
    return plan;
  }
};

step_plan second_step() { return {{1}, 2, {}, {}, {{{1}, 16, {7}, false, false, {1}}}}; }

sequence_start start_of(std::uint64_t id) {
  sequence_start start;
  start.sequence = {id};
  return start;
}

void check_contradiction(const step_plan& plan, const std::string& what) {
  fed_table fed;
  INFO("expected: " << what);
  CHECK_THROWS_MATCHES(fed.table.apply(plan), engine_error, MessageMatches(ContainsSubstring(what)));
}

}  // namespace

TEST_CASE("a plan that continues is applied in its order") {
  fed_table fed;
  auto plan = second_step();
  plan.started.push_back(start_of(2));
  plan.started.back().cached_tokens = std::vector<token_id>(16, 5);
  plan.started.back().blocks = {0};  // shared with sequence 1, which writes it no more
  plan.entries.push_back({{2}, 16, {8, 9}, false, true, {2}});
  const auto& entries = fed.table.apply(plan);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].sequence->id == sequence_id{1});
  CHECK(entries[0].position == 16);
  CHECK(entries[0].tokens == 1);
  CHECK(!entries[0].sample);
  CHECK(entries[1].sequence->tokens.size() == 18);
  CHECK(entries[1].sequence->tokens.back() == 9);
  CHECK(entries[1].sequence->blocks == std::vector<block_id>{0, 2});
  CHECK(entries[1].sample);
}

TEST_CASE("a sequence that ends gives its blocks to the same plan") {
  fed_table fed;
  step_plan plan{{1}, 2, {{1}}, {start_of(2)}, {{{2}, 0, {3}, false, false, {0}}}};
  CHECK_NOTHROW(fed.table.apply(plan));
  CHECK(fed.table.size() == 1);
}

TEST_CASE("an ended sequence may start again") {
  fed_table fed;
  step_plan plan{{1}, 2, {{1}}, {start_of(1)}, {{{1}, 0, {3}, false, false, {4}}}};
  CHECK_NOTHROW(fed.table.apply(plan));
}

TEST_CASE("feed_sampled feeds what was sampled, once") {
  fed_table fed;
  step_plan plan{{1}, 2, {}, {}, {{{1}, 16, {}, true, true, {1}}}};
  CHECK_THROWS_MATCHES(fed.table.apply(plan), engine_error, MessageMatches(ContainsSubstring("sampled nothing")));
  fed_table again;
  const auto& first = again.table.apply(second_step());
  first[0].sequence->sampled = 42;
  const auto& entries = again.table.apply({{1}, 3, {}, {}, {{{1}, 17, {}, true, true, {}}}});
  CHECK(entries[0].sequence->tokens.back() == 42);
  CHECK(!entries[0].sequence->sampled);
}

TEST_CASE("a token that only the device knows is fed, and learned later wherever it stands for it") {
  fed_table x;
  x.table.apply(second_step())[0].sequence->sampled = -1;
  CHECK(x.table.apply({{1}, 3, {}, {}, {{{1}, 17, {}, true, true, {}}}})[0].sequence->tokens.back() == -1);
  x.table.learn({1}, 17, 42);
  x.table.learn({1}, 16, 43);  // that one was fed as 7, so nobody waits for it
  x.table.learn({7}, 3, 44);   // has ended
  const auto& entry = x.table.apply({{1}, 4, {}, {}, {{{1}, 18, {9}, false, true, {}}}})[0];
  CHECK(entry.sequence->tokens[17] == 42);
  CHECK(entry.sequence->tokens[16] != 43);
  entry.sequence->sampled = -3;
  x.table.learn({1}, 19, 45);  // before it is fed
  CHECK(entry.sequence->sampled == 45);
}

TEST_CASE("each contradiction of a plan is named") {
  auto plan = second_step();
  plan.step = 3;
  check_contradiction(plan, "step 3 came after step 1");
  plan = second_step();
  plan.epoch = {2};
  check_contradiction(plan, "a plan of epoch 2 came to an executor of epoch 1");
  plan = second_step();
  plan.ended = {{9}};
  check_contradiction(plan, "sequence 9: it ends but is not known");
  plan = second_step();
  plan.started = {start_of(1)};
  check_contradiction(plan, "sequence 1: it starts twice");
  plan = second_step();
  plan.started = {start_of(2)};
  plan.started[0].sampling.top_p = 7;
  check_contradiction(plan, "top_p is 7");
  plan = second_step();
  plan.started = {start_of(2)};
  plan.started[0].blocks = {3};
  check_contradiction(plan, "0 cached tokens do not fill 1 blocks of 16");
  plan.started[0].cached_tokens = std::vector<token_id>(16, 100);
  check_contradiction(plan, "token 100; the model has 100");
  plan = second_step();
  plan.entries[0].sequence = {4};
  check_contradiction(plan, "sequence 4: it is fed but not known");
  plan = second_step();
  plan.entries.push_back(plan.entries[0]);
  check_contradiction(plan, "two entries");
  plan = second_step();
  plan.entries[0].position = 15;
  check_contradiction(plan, "from position 15 after 16 tokens");
  plan = second_step();
  plan.entries[0].tokens = {};
  check_contradiction(plan, "either tokens or feed_sampled");
  plan = second_step();
  plan.entries[0].feed_sampled = true;
  check_contradiction(plan, "either tokens or feed_sampled");
  plan = second_step();
  plan.entries[0].tokens = {-1};
  check_contradiction(plan, "token -1");
  plan = second_step();
  plan.entries[0].new_blocks = {};
  check_contradiction(plan, "positions 16 to 16 do not fit into its 1 blocks of 16");
  plan = second_step();
  plan.entries[0].new_blocks = {8};
  check_contradiction(plan, "block 8 of 8");
  plan = second_step();
  plan.entries[0].new_blocks = {0};
  check_contradiction(plan, "would write block 0, which is in use 2 times");
  plan = second_step();
  plan.entries[0].tokens = std::vector<token_id>(41, 1);
  check_contradiction(plan, "feeds 41 tokens; at most 40");
}

TEST_CASE("a block that two sequences hold is written by neither") {
  fed_table fed;
  step_plan plan{{1}, 2, {}, {start_of(2)}, {{{1}, 16, {7}, false, false, {1}}, {{2}, 0, {7}, false, false, {1}}}};
  CHECK_THROWS_MATCHES(fed.table.apply(plan), engine_error,
                       MessageMatches(ContainsSubstring("block 1, which is in use 2 times")));
}

TEST_CASE("a sequence cannot go beyond the model's positions") {
  sequence_table table(limits);
  auto plan = fed_table::first_step();
  plan.entries[0].new_blocks = {0, 1, 2, 3, 4};
  plan.entries[0].tokens = std::vector<token_id>(40, 1);
  table.apply(plan);
  plan = {{1}, 2, {}, {}, {{{1}, 40, std::vector<token_id>(25, 1), false, false, {}}}};
  CHECK_THROWS_MATCHES(table.apply(plan), engine_error,
                       MessageMatches(ContainsSubstring("reaches position 65; the model has 64")));
}

TEST_CASE("feed_sampled is refused where the sampled tokens are not known") {
  auto unknowing = limits;
  unknowing.knows_sampled = false;
  sequence_table table(unknowing);
  const auto& entries = table.apply(fed_table::first_step());
  entries[0].sequence->sampled = 1;
  CHECK_THROWS_MATCHES(table.apply({{1}, 2, {}, {}, {{{1}, 16, {}, true, true, {1}}}}), engine_error,
                       MessageMatches(ContainsSubstring("one pipeline stage")));
}
