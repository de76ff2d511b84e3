// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/kv_cache.hpp"

#include <numeric>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "runtime/cache/invariants.hpp"

using namespace troupe;

namespace {

std::vector<token_id> count_up(std::size_t count, token_id from = 0) {
  std::vector<token_id> tokens(count);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

block_table write(kv_cache& cache, const std::vector<token_id>& tokens) {
  auto table = cache.open(tokens);
  REQUIRE(cache.grow(table, tokens.size()));
  cache.commit(table, tokens);
  return table;
}

void check(const kv_cache& cache, std::vector<const block_table*> tables) { check_invariants(cache, tables); }

}  // namespace

TEST_CASE("a sequence that begins alike reuses the whole blocks written") {
  kv_cache cache(8, 4, true);
  auto first = write(cache, count_up(10));
  const auto second = cache.open(count_up(12));
  CHECK(second.blocks == std::vector(first.blocks.begin(), first.blocks.begin() + 2));
  check(cache, {&first, &second});
}

TEST_CASE("a block is not reused before it is written") {
  kv_cache cache(8, 4, true);
  auto table = cache.open(count_up(12));
  REQUIRE(cache.grow(table, 12));
  cache.commit(table, count_up(7));
  CHECK(cache.open(count_up(12)).blocks.size() == 1);
}

TEST_CASE("one token is always left to compute") {
  kv_cache cache(8, 4, true);
  auto first = write(cache, count_up(8));
  cache.close(first);
  CHECK(cache.open(count_up(8)).blocks.size() == 1);
  CHECK(cache.open(count_up(9)).blocks.size() == 2);
}

TEST_CASE("a block after other tokens is another block") {
  kv_cache cache(8, 4, true);
  auto first = write(cache, {1, 1, 1, 1, 5, 5, 5, 5});
  CHECK(cache.open(std::vector{2, 2, 2, 2, 5, 5, 5, 5, 0}).blocks.empty());
}

TEST_CASE("without prefix reuse nothing is kept") {
  kv_cache cache(8, 4, false);
  auto first = write(cache, count_up(8));
  CHECK(cache.open(count_up(9)).blocks.empty());
  cache.close(first);
  CHECK(cache.free() == 8);
}

TEST_CASE("cached prefixes make room when the free blocks run out") {
  kv_cache cache(4, 4, true);
  auto first = write(cache, count_up(16));
  cache.close(first);
  CHECK(cache.cached() == 4);
  auto second = cache.open(count_up(8, 100));
  REQUIRE(cache.grow(second, 8));
  CHECK(cache.evictions() == 2);
  CHECK(cache.open(count_up(16)).blocks.size() == 2);  // its beginning is what stayed
}

TEST_CASE("a table that cannot grow is left as it was") {
  kv_cache cache(4, 4, true);
  auto first = cache.open(count_up(12));
  REQUIRE(cache.grow(first, 12));
  auto second = cache.open(count_up(8, 100));
  CHECK_FALSE(cache.grow(second, 8));
  CHECK(second.blocks.empty());
  CHECK(cache.available() == 1);
  check(cache, {&first, &second});
}

TEST_CASE("the same tokens written twice at a time are kept once") {
  kv_cache cache(8, 4, true);
  auto first = cache.open(count_up(9));
  auto second = cache.open(count_up(9));
  REQUIRE(cache.grow(first, 9));
  REQUIRE(cache.grow(second, 9));
  cache.commit(first, count_up(9));
  cache.commit(second, count_up(9));
  check(cache, {&first, &second});
  cache.close(first);
  check(cache, {&second});
  cache.close(second);
  CHECK(cache.cached() == 2);
  CHECK(cache.free() == 6);
}

TEST_CASE("what follows a block written twice is found by everyone") {
  kv_cache cache(8, 2, true);
  const std::vector<token_id> start{1, 2}, a{1, 2, 3, 4}, b{1, 2, 5, 6};
  auto first = cache.open(a);
  auto second = cache.open(b);
  REQUIRE(cache.grow(first, 4));
  REQUIRE(cache.grow(second, 4));
  cache.commit(first, a);
  cache.commit(second, b);
  cache.close(first);
  cache.close(second);
  const auto again = cache.open(std::vector{1, 2, 5, 6, 7});
  CHECK(again.blocks.size() == 2);
  check(cache, {&again});
}

TEST_CASE("a copy that nobody uses gives way to the one in use") {
  kv_cache cache(3, 4, true);
  auto first = write(cache, count_up(4));
  cache.close(first);
  auto second = cache.open(count_up(4));  // leaves one token to compute, so it writes the block again
  REQUIRE(cache.grow(second, 4));
  cache.commit(second, count_up(4));
  check(cache, {&second});
  CHECK(cache.free() == 2);
  CHECK(cache.cached() == 0);
}

TEST_CASE("a prefix matched in part counts as used") {
  kv_cache cache(4, 2, true);
  auto older = write(cache, {1, 1, 2, 2});
  cache.close(older);
  auto newer = write(cache, {5, 5, 6, 6});
  cache.close(newer);
  auto part = cache.open(std::vector{1, 1, 9});  // matches the first block of the older one
  REQUIRE(part.blocks.size() == 1);
  cache.close(part);
  auto other = cache.open(std::vector{8, 8, 8, 8, 8, 8});
  REQUIRE(cache.grow(other, 6));  // evicts three of four
  CHECK(cache.open(std::vector{1, 1, 9}).blocks.size() == 1);
  CHECK(cache.open(std::vector{5, 5, 9}).blocks.empty());
}
