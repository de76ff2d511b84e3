// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/prefix_index.hpp"

#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

namespace {

std::uint64_t hashes_computed = 0;

std::uint64_t counting_hash(prefix_node parent, std::span<const token_id> tokens) {
  ++hashes_computed;
  return prefix_index::hash_tokens(parent, tokens);
}

std::uint64_t colliding_hash(prefix_node, std::span<const token_id>) { return 42; }

}  // namespace

TEST_CASE("a block is found by its tokens and by what comes before it") {
  prefix_index index(8, 2);
  const auto a = index.insert(prefix_index::root, std::vector{1, 2}, 0);
  const auto b = index.insert(a, std::vector{1, 2}, 1);
  CHECK(index.find(prefix_index::root, std::vector{1, 2}) == a);
  CHECK(index.find(a, std::vector{1, 2}) == b);
  CHECK(index.find(b, std::vector{1, 2}) == prefix_index::none);
  CHECK(index.find(prefix_index::root, std::vector{2, 1}) == prefix_index::none);
}

TEST_CASE("equal hashes do not confuse two prefixes") {
  prefix_index index(64, 2, &colliding_hash);
  std::vector<prefix_node> nodes;
  for (token_id token = 0; token < 64; ++token)
    nodes.push_back(index.insert(token % 2 == 0 ? prefix_index::root : nodes.back(), std::vector{token / 2, 5}, token));
  for (token_id token = 0; token < 64; ++token) {
    const auto i = static_cast<std::size_t>(token);
    REQUIRE(index.find(token % 2 == 0 ? prefix_index::root : nodes[i - 1], std::vector{token / 2, 5}) == nodes[i]);
    REQUIRE(index.block(nodes[i]) == token);
  }
  index.release(nodes[1]);
  CHECK(index.evict() == 1);
  CHECK(index.find(nodes[0], std::vector{0, 5}) == prefix_index::none);
  CHECK(index.find(nodes[2], std::vector{1, 5}) == nodes[3]);
}

TEST_CASE("what is used is never evicted, and a parent only after its children") {
  prefix_index index(8, 1);
  const auto a = index.insert(prefix_index::root, std::vector{1}, 10);
  const auto b = index.insert(a, std::vector{2}, 11);
  const auto c = index.insert(b, std::vector{3}, 12);
  CHECK(index.evict() == std::nullopt);
  index.release(c);
  index.release(b);
  CHECK(index.evict() == 12);
  CHECK(index.evict() == 11);
  CHECK(index.evict() == std::nullopt);
  index.release(a);
  CHECK(index.evict() == 10);
  CHECK(index.size() == 0);
}

TEST_CASE("the prefix used least recently is evicted first") {
  prefix_index index(8, 1);
  for (token_id token = 0; token < 4; ++token)
    index.release(index.insert(prefix_index::root, std::vector{token}, token));
  const auto used_again = index.find(prefix_index::root, std::vector{0});
  index.acquire(used_again);
  index.release(used_again);
  CHECK(index.evict() == 1);
  CHECK(index.evict() == 2);
  CHECK(index.evict() == 3);
  CHECK(index.evict() == 0);
}

TEST_CASE("giving up one block of a tree of 100,000 looks at one node") {
  constexpr std::uint32_t blocks = 100'000;
  prefix_index index(blocks, 16, &counting_hash);
  std::vector<prefix_node> nodes;
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const std::vector<token_id> tokens(16, static_cast<token_id>(i));
    nodes.push_back(index.insert(i % 100 == 0 ? prefix_index::root : nodes.back(), tokens, static_cast<block_id>(i)));
  }
  for (auto i = nodes.size(); i-- > 0;)
    index.release(nodes[i]);
  REQUIRE(index.cached() == blocks);
  hashes_computed = 0;
  REQUIRE(index.evict());
  CHECK(hashes_computed == 1);
  for (std::uint32_t i = 1; i < blocks; ++i)
    REQUIRE(index.evict());
  CHECK(hashes_computed == blocks);
  CHECK(index.evict() == std::nullopt);
}
