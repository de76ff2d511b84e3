// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/launch.cuh"

namespace troupe {

namespace {

constexpr int warps = 4;
constexpr int key_tokens = 64;
static_assert(prefill_tile_rows == warps * 16);

template <int HeadSize>
constexpr std::uint32_t half_stage_bytes = key_tokens* HeadSize * sizeof(bf16);

/// Starts copying keys and values of 64 positions; those beyond the last are the last again, and masked later.
template <int HeadSize>
__device__ void fetch(const paged_attention_call& call, const std::int32_t* blocks, int head, int first, int kv_tokens,
                      std::uint32_t stage) {
  constexpr int pieces = HeadSize / 8;
  const auto value_offset = call.cache.heads * call.cache.block_tokens * HeadSize;
#pragma unroll
  for (int i = 0; i < key_tokens * pieces / (warps * 32); ++i) {
    const int index = i * warps * 32 + static_cast<int>(threadIdx.x);
    const int token = index / pieces, piece = index % pieces;
    const bf16* key = key_of(call.cache, blocks, min(first + token, kv_tokens - 1), head) + piece * 8;
    const auto offset = tile_offset<HeadSize>(token, piece);
    copy_async(stage + offset, key);
    copy_async(stage + half_stage_bytes<HeadSize> + offset, key + value_offset);
  }
}

/// A block does 64 rows of (token, query head of the group) pairs of one sequence and key/value head, a warp 16 of
/// them; two stages of 64 keys and values. Grid: tiles, key/value heads.
template <int HeadSize>
__global__ void __launch_bounds__(warps * 32)
    prefill_attention_kernel(paged_attention_call call, const attention_tile* tiles) {
  extern __shared__ __align__(128) unsigned char shared[];
  allow_next_kernel();
  wait_for_input();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const auto tile = tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y);
  const int group = static_cast<int>(call.heads / call.cache.heads);
  const int kv_tokens = call.kv_tokens[tile.sequence];
  const int tokens = call.rows[tile.sequence];
  const int rows = tokens * group;
  const int first_position = kv_tokens - tokens;
  const auto* blocks = call.table + call.table_start[tile.sequence];
  const int first_row = tile.index * static_cast<int>(prefill_tile_rows);
  const int last_row = min(rows, first_row + static_cast<int>(prefill_tile_rows)) - 1;
  const int seen = first_position + last_row / group + 1;  // keys that any row of the block sees

  const auto row_offset = [&](int row, std::size_t stride) {
    return static_cast<std::size_t>(call.first_row[tile.sequence] + row / group) * stride +
           static_cast<std::size_t>(head * group + row % group) * HeadSize;
  };
  const int warp_row = first_row + warp * 16;
  std::uint32_t query[HeadSize / 16][4];
  load_query<HeadSize>(query, [&](int r) {
    return warp_row + r <= last_row ? call.query + row_offset(warp_row + r, call.query_stride) : nullptr;
  });
  int position[2];
#pragma unroll
  for (int r = 0; r < 2; ++r)
    position[r] = first_position + (warp_row + lane / 4 + 8 * r) / group;

  const auto memory = shared_address(shared);
  constexpr auto stage_bytes = 2 * half_stage_bytes<HeadSize>;
  fetch<HeadSize>(call, blocks, head, 0, kv_tokens, memory);
  commit_copies();
  row_state<HeadSize> state;
  const float scale_log2 = call.scale * 1.4426950408889634F;
  for (int first = 0, stage = 0; first < seen; first += key_tokens, stage ^= 1) {
    if (first + key_tokens < seen)
      fetch<HeadSize>(call, blocks, head, first + key_tokens, kv_tokens, memory + (stage ^ 1) * stage_bytes);
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    const auto keys = memory + stage * stage_bytes;
    float score[key_tokens / 16][2][4] = {};
#pragma unroll
    for (int t = 0; t < key_tokens / 16; ++t)
      row_state<HeadSize>::score_tokens(query, keys, t * 16, score[t]);
    if (first + key_tokens > first_position + warp_row / group + 1)
#pragma unroll
      for (int t = 0; t < key_tokens / 16; ++t)
#pragma unroll
        for (int j = 0; j < 2; ++j)
#pragma unroll
          for (int c = 0; c < 4; ++c)
            if (first + t * 16 + j * 8 + lane % 4 * 2 + c % 2 > position[c / 2]) score[t][j][c] = -INFINITY;
    state.weigh(score, scale_log2);
#pragma unroll
    for (int t = 0; t < key_tokens / 16; ++t)
      state.add_values(score[t], keys + half_stage_bytes<HeadSize>, t * 16);
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = warp_row + lane / 4 + 8 * r;
    const float share = 1 / state.whole_sum(r);
    if (row > last_row) continue;
    bf16* to = call.out + row_offset(row, call.heads * HeadSize);
#pragma unroll
    for (int i = 0; i < HeadSize / 8; ++i)
      *reinterpret_cast<std::uint32_t*>(to + i * 8 + lane % 4 * 2) =
          pack_pair(state.out[i][2 * r] * share, state.out[i][2 * r + 1] * share);
  }
}

template <int HeadSize>
void enqueue(const paged_attention_call& call, const attention_tile* tiles, std::size_t tile_count,
             cuda_stream stream) {
  constexpr int bytes = 2 * 2 * half_stage_bytes<HeadSize>;
  check(cudaFuncSetAttribute(prefill_attention_kernel<HeadSize>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "prefill_attention: shared memory");
  const dim3 grid(static_cast<unsigned>(tile_count), static_cast<unsigned>(call.cache.heads));
  launch("prefill_attention", prefill_attention_kernel<HeadSize>, grid, warps * 32, bytes, stream, call, tiles);
}

}  // namespace

void prefill_attention_cuda(const paged_attention_call& call, const attention_tile* tiles, std::size_t tile_count,
                            cuda_stream stream) {
  if (tile_count == 0) return;
  if (call.cache.head_size == 128)
    enqueue<128>(call, tiles, tile_count, stream);
  else
    enqueue<64>(call, tiles, tile_count, stream);
}

}  // namespace troupe
