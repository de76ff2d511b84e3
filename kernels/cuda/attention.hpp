// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/head_rotation.hpp"
#include "kernels/cuda/l2_prefetch.hpp"
#include "kernels/cuda/paged_cache.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// Causal attention over the paged cache; consecutive query heads share a key/value head, at most 16 of them. All
/// pointers are device memory; one entry of the arrays a sequence of the batch. head_size 64 or 128.
struct paged_attention_call {
  const bf16* query;  ///< [tokens, heads * head_size], rows `query_stride` elements apart
  std::size_t query_stride;
  bf16* out;  ///< [tokens, heads * head_size]
  std::size_t heads;
  paged_cache cache;
  float scale;
  const std::int32_t* first_row;    ///< the sequence's first row of query and out
  const std::int32_t* rows;         ///< how many it has
  const std::int32_t* kv_tokens;    ///< positions in the cache, those of the rows among them; 0: padding, left alone
  const std::int32_t* table_start;  ///< where the sequence's blocks begin in `table`
  const std::int32_t* table;
  l2_prefetch next{};  ///< what the kernel after decode_attention_cuda reads first
};

/// Memory in which the parts of a divided sequence meet. Zero before the first call; left zero by each.
struct attention_workspace {
  float* partial = nullptr;          ///< [sequences, heads, parts, head_size + 1]: output, then log-sum-exp (base 2)
  std::uint32_t* arrived = nullptr;  ///< [sequences, key/value heads]
};

/// How many parts the keys of each sequence are divided into, so that a decode batch fills `multiprocessors`.
std::size_t decode_parts(std::size_t sequences, std::size_t kv_heads, std::size_t multiprocessors);

/// For sequences of one row each, which are the first rows: rows [0, sequences) of query, sequences [0, sequences) of
/// the arrays. `query` is the projection as it is, with its keys and values: heads are normed, rotated and the new key
/// and value stored on the way, as qk_rope_append_cuda does for the other rows. Each key/value head's keys are read
/// once, on tensor cores, in `parts` parts that the last to arrive puts together. What is older than this step is
/// fetched before the kernel ahead on the stream has ended.
void decode_attention_cuda(const paged_attention_call& call, const head_rotation& rotation, std::size_t sequences,
                           std::size_t parts, const attention_workspace& workspace, cuda_stream stream);

/// Rows that one tile of prefill_attention_cuda covers, counted in (token, query head of a group) pairs.
inline constexpr std::size_t prefill_tile_rows = 64;

/// A tile's sequence, and which tile of that sequence it is.
struct attention_tile {
  std::int32_t sequence;
  std::int32_t index;
};

/// For sequences of any number of rows; tiles: [tiles], device memory. Ceil(rows * group / 64) tiles a sequence.
void prefill_attention_cuda(const paged_attention_call& call, const attention_tile* tiles, std::size_t tile_count,
                            cuda_stream stream);

}  // namespace troupe
