// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache/prefix_index.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace troupe {

prefix_index::prefix_index(std::uint32_t blocks, std::uint32_t block_tokens, hash_function hash)
    : block_tokens_(block_tokens),
      hash_(hash),
      nodes_(blocks),
      tokens_(std::size_t{blocks} * block_tokens),
      buckets_(std::bit_ceil(std::size_t{blocks} + 1), none),
      unreferenced_(blocks) {
  spare_.reserve(blocks);
  for (auto node = static_cast<prefix_node>(blocks); node-- > 0;)
    spare_.push_back(node);
}

prefix_node prefix_index::find(prefix_node parent, std::span<const token_id> tokens) const {
  assert(tokens.size() == block_tokens_);
  for (auto node = buckets_[bucket(parent, tokens)]; node != none; node = at(node).next_in_bucket)
    if (at(node).parent == parent && std::ranges::equal(this->tokens(node), tokens)) return node;
  return none;
}

prefix_node prefix_index::insert(prefix_node parent, std::span<const token_id> tokens, block_id block) {
  assert(find(parent, tokens) == none);
  assert(parent == root || at(parent).references > 0);
  assert(!spare_.empty());  // there are as many nodes as blocks
  const auto node = spare_.back();
  spare_.pop_back();
  auto& head = buckets_[bucket(parent, tokens)];
  at(node) = {parent, head, block, 1, 0};
  head = node;
  std::ranges::copy(tokens, tokens_of(node).begin());
  if (parent != root) ++at(parent).children;
  return node;
}

void prefix_index::acquire(prefix_node node) {
  if (at(node).references++ == 0) unreferenced_.remove(node);
}

void prefix_index::release(prefix_node node) {
  assert(at(node).references > 0);
  if (--at(node).references == 0) unreferenced_.push_newest(node);
}

block_id prefix_index::exchange_block(prefix_node node, block_id block) {
  assert(at(node).references == 0);
  return std::exchange(at(node).block, block);
}

std::optional<block_id> prefix_index::evict() {
  const auto node = unreferenced_.oldest();
  if (node == lru_list::none) return std::nullopt;
  assert(at(node).children == 0);  // a child holding on to a node that is reused would lead to wrong tokens
  unreferenced_.remove(node);
  unlink(node);
  if (const auto parent = at(node).parent; parent != root) --at(parent).children;
  at(node).parent = none;
  spare_.push_back(node);
  return at(node).block;
}

void prefix_index::unlink(prefix_node node) {
  auto* link = &buckets_[bucket(at(node).parent, tokens(node))];
  while (*link != node)
    link = &at(*link).next_in_bucket;
  *link = at(node).next_in_bucket;
}

std::span<const token_id> prefix_index::tokens(prefix_node node) const {
  return std::span{tokens_}.subspan(static_cast<std::size_t>(node) * block_tokens_, block_tokens_);
}

std::span<token_id> prefix_index::tokens_of(prefix_node node) {
  return std::span{tokens_}.subspan(static_cast<std::size_t>(node) * block_tokens_, block_tokens_);
}

std::vector<prefix_node> prefix_index::nodes() const {
  std::vector<prefix_node> used;
  for (prefix_node node = 0; node < static_cast<prefix_node>(nodes_.size()); ++node)
    if (at(node).parent != none) used.push_back(node);
  return used;
}

std::size_t prefix_index::bucket(prefix_node parent, std::span<const token_id> tokens) const {
  return hash_(parent, tokens) & (buckets_.size() - 1);
}

std::uint64_t prefix_index::hash_tokens(prefix_node parent, std::span<const token_id> tokens) {
  auto hash = static_cast<std::uint64_t>(static_cast<std::uint32_t>(parent)) + 0x9e3779b97f4a7c15U;
  for (const auto token : tokens) {
    hash = (hash ^ static_cast<std::uint32_t>(token)) * 0xff51afd7ed558ccdU;
    hash ^= hash >> 32U;
  }
  return hash;
}

}  // namespace troupe
