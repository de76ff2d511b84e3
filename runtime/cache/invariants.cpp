// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/invariants.hpp"

#include <utility>
#include <vector>

#include <fmt/format.h>

namespace troupe {

namespace {

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw invariant_error("KV cache: " + fmt::format(text, std::forward<Args>(args)...));
}

/// Builds its own picture of who holds each block and each node, then compares.
class audit {
 public:
  audit(const kv_cache& cache, std::span<const block_table* const> tables)
      : cache_(cache), owners_(cache.pool().size(), 0), references_(cache.pool().size(), 0) {
    for (block_id block = 0; block < static_cast<block_id>(owners_.size()); ++block)
      if (cache.pool().is_free(block)) own(block, "the free list");
    for (const auto node : cache.index().nodes())
      own(cache.index().block(node), "the index");
    for (const auto* table : tables)
      add(*table);
  }

  void check() const {
    for (block_id block = 0; block < static_cast<block_id>(owners_.size()); ++block)
      if (owners_[static_cast<std::size_t>(block)] == 0) fail("block {} belongs to nobody", block);
    for (const auto node : cache_.index().nodes())
      check_node(node);
    check_eviction_order();
    if (cache_.free() + cache_.cached() + cache_.used() != cache_.pool().size())
      fail("{} free, {} cached and {} used blocks are not {}", cache_.free(), cache_.cached(), cache_.used(),
           cache_.pool().size());
  }

 private:
  void own(block_id block, const char* owner) {
    if (block < 0 || block >= static_cast<block_id>(owners_.size())) fail("{} has block {}", owner, block);
    if (++owners_[static_cast<std::size_t>(block)] > 1) fail("block {} has two owners, one is {}", block, owner);
  }

  void add(const block_table& table) {
    if (table.path.size() > table.blocks.size())
      fail("a table of {} blocks has a path of {}", table.blocks.size(), table.path.size());
    auto parent = prefix_index::root;
    for (std::size_t i = 0; i < table.blocks.size(); ++i) {
      const bool on_path = i < table.path.size();
      if (!on_path || cache_.index().block(table.path[i]) != table.blocks[i]) own(table.blocks[i], "a table");
      if (!on_path) continue;
      if (cache_.index().parent(table.path[i]) != parent) fail("a table's path breaks at block {}", i);
      parent = table.path[i];
      ++references_[static_cast<std::size_t>(parent)];
    }
  }

  void check_node(prefix_node node) const {
    const auto& index = cache_.index();
    const auto counted = references_[static_cast<std::size_t>(node)];
    if (index.references(node) != counted)
      fail("node {} counts {} references and {} tables use it", node, index.references(node), counted);
    if (index.is_unreferenced(node) != (counted == 0)) fail("node {} is wrongly in or out of the eviction order", node);
    const auto parent = index.parent(node);
    if (counted > 0 && parent != prefix_index::root && index.references(parent) == 0)
      fail("node {} is used and its parent {} is not", node, parent);
    if (index.find(parent, index.tokens(node)) != node) fail("node {} is not found by its tokens", node);
  }

  void check_eviction_order() const {
    const auto& order = cache_.index().eviction_order();
    std::vector<std::uint32_t> children(owners_.size(), 0);  // seen before their parent
    for (auto node = order.oldest(); node != lru_list::none; node = order.next(node)) {
      if (cache_.index().children(node) != children[static_cast<std::size_t>(node)])
        fail("node {} would be evicted before its children", node);
      if (const auto parent = cache_.index().parent(node); parent != prefix_index::root)
        ++children[static_cast<std::size_t>(parent)];
    }
  }

  const kv_cache& cache_;
  std::vector<std::uint32_t> owners_;
  std::vector<std::uint32_t> references_;
};

}  // namespace

void check_invariants(const kv_cache& cache, std::span<const block_table* const> tables) {
  audit(cache, tables).check();
}

}  // namespace troupe
