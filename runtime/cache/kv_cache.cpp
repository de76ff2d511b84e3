// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/kv_cache.hpp"

#include <cassert>

namespace troupe {

kv_cache::kv_cache(std::uint32_t blocks, std::uint32_t block_tokens, bool prefix_reuse,
                   prefix_index::hash_function hash)
    : block_tokens_(block_tokens),
      prefix_reuse_(prefix_reuse),
      pool_(blocks),
      index_(prefix_reuse ? blocks : 0, block_tokens, hash) {}

block_table kv_cache::open(std::span<const token_id> tokens) {
  block_table table;
  if (!prefix_reuse_ || tokens.empty()) return table;
  const auto most = (tokens.size() - 1) / block_tokens_;
  auto node = prefix_index::root;
  while (table.path.size() < most) {
    node = index_.find(node, tokens.subspan(table.path.size() * block_tokens_, block_tokens_));
    if (node == prefix_index::none) break;
    index_.acquire(node);
    table.path.push_back(node);
    table.blocks.push_back(index_.block(node));
  }
  return table;
}

bool kv_cache::grow(block_table& table, std::size_t tokens) {
  const auto wanted = blocks_for(tokens);
  if (wanted <= table.blocks.size()) return true;
  if (wanted - table.blocks.size() > available()) return false;
  while (table.blocks.size() < wanted)
    table.blocks.push_back(take());
  return true;
}

void kv_cache::commit(block_table& table, std::span<const token_id> written) {
  if (!prefix_reuse_) return;
  assert(blocks_for(written.size()) <= table.blocks.size());
  for (auto i = table.path.size(); (i + 1) * block_tokens_ <= written.size(); ++i) {
    const auto parent = i == 0 ? prefix_index::root : table.path.back();
    const auto tokens = written.subspan(i * block_tokens_, block_tokens_);
    auto node = index_.find(parent, tokens);
    if (node == prefix_index::none) {
      node = index_.insert(parent, tokens, table.blocks[i]);
    } else {
      // The same tokens twice: of a copy that nobody uses, only one is kept.
      if (index_.references(node) == 0) pool_.give_back(index_.exchange_block(node, table.blocks[i]));
      index_.acquire(node);
    }
    table.path.push_back(node);
  }
}

void kv_cache::close(block_table& table) {
  for (auto i = table.blocks.size(); i-- > 0;) {
    const auto node = i < table.path.size() ? table.path[i] : prefix_index::none;
    if (node == prefix_index::none || index_.block(node) != table.blocks[i]) pool_.give_back(table.blocks[i]);
    if (node != prefix_index::none) index_.release(node);
  }
  table = {};
}

block_id kv_cache::take() {
  if (const auto block = pool_.take()) return *block;
  const auto block = index_.evict();
  assert(block);  // the caller has counted
  ++evictions_;
  return *block;
}

}  // namespace troupe
