// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/cache/lru_list.hpp"
#include "runtime/ids.hpp"

namespace troupe {

/// A whole block of tokens in its place behind a certain prefix.
using prefix_node = std::int32_t;

/// Finds the block that holds the KV of given tokens behind a given prefix. A tree with a node for each whole block: a
/// node is looked up by its parent and its tokens, which are compared, so equal hashes cannot confuse two prefixes.
///
/// A sequence acquires every node of its prefix, from the root on, and releases them from the deepest on. Therefore a
/// used node has a used parent, and in the order of release a node comes before its parent: the least recently used
/// unreferenced node is always a leaf, and giving one up takes constant time.
class prefix_index {
 public:
  using hash_function = std::uint64_t (*)(prefix_node parent, std::span<const token_id> tokens);

  static constexpr prefix_node root = -1;
  static constexpr prefix_node none = -2;

  prefix_index(std::uint32_t blocks, std::uint32_t block_tokens, hash_function hash = &hash_tokens);

  /// `tokens` are exactly one block. Returns `none` when the index does not have them there.
  prefix_node find(prefix_node parent, std::span<const token_id> tokens) const;

  /// The node is not there yet; its first reference is the caller's.
  prefix_node insert(prefix_node parent, std::span<const token_id> tokens, block_id block);

  void acquire(prefix_node node);
  void release(prefix_node node);

  /// Lets an unreferenced node keep its tokens in another block; returns the block it had.
  block_id exchange_block(prefix_node node, block_id block);

  /// Forgets the least recently used unreferenced node and returns its block.
  std::optional<block_id> evict();

  block_id block(prefix_node node) const { return at(node).block; }
  prefix_node parent(prefix_node node) const { return at(node).parent; }
  std::uint32_t references(prefix_node node) const { return at(node).references; }
  std::uint32_t children(prefix_node node) const { return at(node).children; }
  bool is_unreferenced(prefix_node node) const { return unreferenced_.contains(node); }
  std::span<const token_id> tokens(prefix_node node) const;

  /// Unreferenced nodes; all of them can be evicted, one after the other.
  std::uint32_t cached() const { return static_cast<std::uint32_t>(unreferenced_.size()); }
  const lru_list& eviction_order() const { return unreferenced_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size() - spare_.size()); }
  /// Every node, for the checker.
  std::vector<prefix_node> nodes() const;

  static std::uint64_t hash_tokens(prefix_node parent, std::span<const token_id> tokens);

 private:
  struct entry {
    prefix_node parent = none;  // none: not in use
    prefix_node next_in_bucket = none;
    block_id block = -1;
    std::uint32_t references = 0;
    std::uint32_t children = 0;
  };

  entry& at(prefix_node node) { return nodes_[static_cast<std::size_t>(node)]; }
  const entry& at(prefix_node node) const { return nodes_[static_cast<std::size_t>(node)]; }
  std::span<token_id> tokens_of(prefix_node node);
  std::size_t bucket(prefix_node parent, std::span<const token_id> tokens) const;
  void unlink(prefix_node node);

  std::uint32_t block_tokens_;
  hash_function hash_;
  std::vector<entry> nodes_;
  std::vector<token_id> tokens_;      // block_tokens_ for each node
  std::vector<prefix_node> buckets_;  // heads of chains through next_in_bucket; a power of two of them
  std::vector<prefix_node> spare_;    // nodes not in use
  lru_list unreferenced_;
};

}  // namespace troupe
