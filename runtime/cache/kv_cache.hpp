// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/cache/block_pool.hpp"
#include "runtime/cache/prefix_index.hpp"
#include "runtime/ids.hpp"

namespace troupe {

/// The blocks of one sequence. Only kv_cache changes it.
struct block_table {
  std::vector<block_id> blocks;  ///< in order of position
  /// The index's nodes for the first whole blocks written. A node's block is the table's own, except where another
  /// sequence had written the same tokens first: then the table's block is private to it and the node is only kept.
  std::vector<prefix_node> path;
};

/// Which block holds which tokens: gives blocks to sequences and keeps what they wrote for those that begin alike.
/// A block is free, private to one table, or in the index; one in the index that no table uses is `cached`.
class kv_cache {
 public:
  kv_cache(std::uint32_t blocks, std::uint32_t block_tokens, bool prefix_reuse,
           prefix_index::hash_function hash = &prefix_index::hash_tokens);

  /// A table with the blocks already written for the longest known prefix. It always leaves one token to be computed:
  /// without it there were no logits to go on from.
  block_table open(std::span<const token_id> tokens);

  /// Appends blocks until the table holds `tokens`; gives up cached prefixes when the free blocks run out. False and no
  /// change when there are not enough of either.
  bool grow(block_table& table, std::size_t tokens);

  /// Tells that the KV of `written`, the first tokens of the table's sequence, is complete and may be reused.
  void commit(block_table& table, std::span<const token_id> written);

  /// Takes everything back. What was committed stays cached.
  void close(block_table& table);

  std::size_t blocks_for(std::size_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }
  /// Blocks that grow() can give in all.
  std::uint32_t available() const { return free() + cached(); }
  std::uint32_t free() const { return pool_.free(); }
  std::uint32_t cached() const { return index_.cached(); }
  std::uint32_t used() const { return pool_.size() - available(); }
  std::uint64_t evictions() const { return evictions_; }

  const block_pool& pool() const { return pool_; }
  const prefix_index& index() const { return index_; }

 private:
  block_id take();

  std::uint32_t block_tokens_;
  bool prefix_reuse_;
  block_pool pool_;
  prefix_index index_;
  std::uint64_t evictions_ = 0;
};

}  // namespace troupe
