// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/invariants.hpp"

#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;

namespace {

struct fixture {
  kv_cache cache{8, 2, true};
  std::vector<token_id> tokens{1, 2, 3, 4, 5};
  block_table table = cache.open(tokens);

  fixture() {
    cache.grow(table, tokens.size());
    cache.commit(table, tokens);
  }

  void expect(std::vector<const block_table*> tables, const char* finding) {
    CHECK_THROWS_MATCHES(check_invariants(cache, tables), invariant_error,
                         Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring(finding)));
  }
};

}  // namespace

TEST_CASE("the checker accepts a cache whose books are right") {
  fixture f;
  const auto* table = &f.table;
  check_invariants(f.cache, {&table, 1});
}

TEST_CASE("the checker finds a table that was forgotten") {
  fixture f;
  f.expect({}, "belongs to nobody");
}

TEST_CASE("the checker finds a block in two tables") {
  fixture f;
  block_table thief;
  thief.blocks = {f.table.blocks[2]};
  f.expect({&f.table, &thief}, "two owners");
}

TEST_CASE("the checker finds a free block in a table") {
  fixture f;
  auto wrong = f.table;
  wrong.blocks[2] = 7;
  f.expect({&wrong}, "two owners");
}

TEST_CASE("the checker finds references that no table holds") {
  fixture f;
  auto wrong = f.table;
  wrong.path.pop_back();
  wrong.blocks.erase(wrong.blocks.begin() + 1);
  f.expect({&wrong}, "references");
}

TEST_CASE("the checker finds a path in the wrong order") {
  fixture f;
  auto wrong = f.table;
  std::swap(wrong.path[0], wrong.path[1]);
  std::swap(wrong.blocks[0], wrong.blocks[1]);
  f.expect({&wrong}, "breaks");
}
