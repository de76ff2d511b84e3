// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/head_pairs.cuh"
#include "kernels/cuda/l2_prefetch.cuh"
#include "kernels/cuda/launch.cuh"

namespace troupe {

namespace {

constexpr int warps = 4;
constexpr int stages = 3;
constexpr int tile_tokens = 16;

template <int HeadSize>
constexpr std::size_t warp_bytes() {
  return std::size_t{stages} * 2 * tile_tokens * HeadSize * sizeof(bf16);
}

/// Which tiles of 16 keys a part of a sequence reads: every warp of the block takes every fourth of them.
struct part_range {
  int first;
  int end;
  int parts;  ///< that have anything to do

  __device__ part_range(int kv_tokens, int part, int wanted_parts) {
    const int tiles = (max(kv_tokens, 1) + tile_tokens - 1) / tile_tokens;
    const int each = ((tiles + wanted_parts - 1) / wanted_parts + warps - 1) / warps * warps;
    parts = (tiles + each - 1) / each;
    first = part * each;
    end = kv_tokens == 0 ? first : min(tiles, first + each);  // 0: padding
  }
};

/// Starts copying tile `tile`'s keys and values into `stage` (shared memory of this warp).
template <int HeadSize>
__device__ void fetch(const paged_attention_call& call, const std::int32_t* blocks, int head, int tile,
                      std::uint32_t stage) {
  constexpr int pieces = HeadSize / 8;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bf16* keys = key_of(call.cache, blocks, tile * tile_tokens, head);  // a tile never crosses a block
  const bf16* values = keys + call.cache.heads * call.cache.block_tokens * HeadSize;
#pragma unroll
  for (int i = 0; i < tile_tokens * pieces / 32; ++i) {
    const int token = (i * 32 + lane) / pieces;
    const int piece = (i * 32 + lane) % pieces;
    const auto offset = tile_offset<HeadSize>(token, piece);
    copy_async(stage + offset, keys + token * HeadSize + piece * 8);
    copy_async(stage + tile_tokens * HeadSize * 2 + offset, values + token * HeadSize + piece * 8);
  }
}

/// The four warps' states put together, in shared memory: rows of HeadSize outputs, then the sum, for `group` rows.
template <int HeadSize>
struct merged_rows {
  float out[warps][16][HeadSize];
  float greatest[warps][16];
  float sum[warps][16];
};

template <int HeadSize>
__device__ void store_state(merged_rows<HeadSize>& to, const row_state<HeadSize>& state) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    const float sum = state.whole_sum(r);
    if (lane % 4 == 0) {
      to.greatest[warp][row] = state.greatest[r];
      to.sum[warp][row] = sum;
    }
#pragma unroll
    for (int i = 0; i < HeadSize / 8; ++i)
      *reinterpret_cast<float2*>(&to.out[warp][row][i * 8 + lane % 4 * 2]) = {state.out[i][2 * r],
                                                                              state.out[i][2 * r + 1]};
  }
}

/// Row `row`, element d of the softmax over this block's keys, and its log2 sum.
template <int HeadSize>
__device__ float2 merge_warps(const merged_rows<HeadSize>& x, int row, int d) {
  float greatest = x.greatest[0][row];
#pragma unroll
  for (int w = 1; w < warps; ++w)
    greatest = fmaxf(greatest, x.greatest[w][row]);
  float out = 0, sum = 0;
#pragma unroll
  for (int w = 0; w < warps; ++w) {
    const float share = exp2f(x.greatest[w][row] - greatest);
    out += share * x.out[w][row][d];
    sum += share * x.sum[w][row];
  }
  return {out / sum, greatest + log2f(sum)};
}

/// The last block of a sequence and head puts the parts together, in their order, so the result does not depend on who
/// came last. Grid: parts, key/value heads, sequences.
template <int HeadSize>
__device__ void merge_parts(const paged_attention_call& call, const float* partial, int parts, int parts_stride,
                            int group, bf16* out) {
  constexpr int at_once = 16;
  for (int i = static_cast<int>(threadIdx.x); i < group * HeadSize; i += warps * 32) {
    const float* row = partial + static_cast<std::size_t>(i / HeadSize) * parts_stride * (HeadSize + 1);
    float greatest = -INFINITY, sum = 0, value = 0;
    for (int first = 0; first < parts; first += at_once) {
      // All loads before any use: one wait for memory, not one a part.
      float log_sum[at_once], part_value[at_once];
#pragma unroll
      for (int j = 0; j < at_once; ++j) {
        const float* part = row + min(first + j, parts - 1) * (HeadSize + 1);
        log_sum[j] = __ldcg(part + HeadSize);
        part_value[j] = __ldcg(part + i % HeadSize);
      }
      float next = greatest;
#pragma unroll
      for (int j = 0; j < at_once; ++j)
        next = fmaxf(next, log_sum[j]);
      const float shrink = exp2f(greatest - next);
      sum *= shrink;
      value *= shrink;
#pragma unroll
      for (int j = 0; j < at_once; ++j) {
        const float share = first + j < parts ? exp2f(log_sum[j] - next) : 0.0F;
        sum += share;
        value += share * part_value[j];
      }
      greatest = next;
    }
    out[i] = narrow(value / sum);
  }
}

/// Norms and rotates the query rows in their fragments: a pair's two halves are in the same lane.
template <int HeadSize>
__device__ void rotate_query(std::uint32_t (&query)[HeadSize / 16][4], const head_rotation& how, int position) {
  constexpr int half = HeadSize / 2;
  const int first = static_cast<int>(threadIdx.x) % 4 * 2;
  const auto* angle = how.angles + static_cast<std::size_t>(position) * HeadSize;
  float scale[2] = {1, 1};
  if (how.q_norm != nullptr) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float squares = 0;
#pragma unroll
      for (int k = 0; k < HeadSize / 16; ++k)
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const auto pair = query[k][r + 2 * c];
          squares += low_half(pair) * low_half(pair) + high_half(pair) * high_half(pair);
        }
      squares += __shfl_xor_sync(0xffffffffU, squares, 1);
      squares += __shfl_xor_sync(0xffffffffU, squares, 2);
      scale[r] = rsqrtf(squares / HeadSize + how.epsilon);
    }
  }
#pragma unroll
  for (int k = 0; k < HeadSize / 32; ++k)
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int i = 16 * k + 8 * c + first;
      const auto turn = *reinterpret_cast<const float4*>(angle + 2 * i);  // of elements i and i + 1
      std::uint32_t near = 0x3f803f80U, far = 0x3f803f80U;                // ones
      if (how.q_norm != nullptr) {
        near = *reinterpret_cast<const std::uint32_t*>(how.q_norm + i);
        far = *reinterpret_cast<const std::uint32_t*>(how.q_norm + half + i);
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        auto& a = query[k][r + 2 * c];
        auto& b = query[k + HeadSize / 32][r + 2 * c];
        const float a0 = low_half(a) * scale[r] * low_half(near), a1 = high_half(a) * scale[r] * high_half(near);
        const float b0 = low_half(b) * scale[r] * low_half(far), b1 = high_half(b) * scale[r] * high_half(far);
        a = pack_pair(a0 * turn.x - b0 * turn.y, a1 * turn.z - b1 * turn.w);
        b = pack_pair(b0 * turn.x + a0 * turn.y, b1 * turn.z + a1 * turn.w);
      }
    }
}

/// The step's own key and value, made from the projection by one warp: into the cache, and into the warp's tile.
template <int HeadSize>
__device__ void append(const paged_attention_call& call, const head_rotation& how, const std::int32_t* blocks, int head,
                       int position, const bf16* key, unsigned char* tile) {
  head_pairs<HeadSize> k(key), v(key + call.cache.heads * HeadSize);
  k.norm_and_rotate(how.k_norm, how, position);
  auto* to = const_cast<bf16*>(key_of(call.cache, blocks, position, head));
  k.store(to);
  v.store(to + call.cache.heads * call.cache.block_tokens * HeadSize);
  const int token = position % tile_tokens;
  k.store_pieces([&](int piece) { return reinterpret_cast<bf16*>(tile + tile_offset<HeadSize>(token, piece)); });
  tile += tile_tokens * HeadSize * sizeof(bf16);
  v.store_pieces([&](int piece) { return reinterpret_cast<bf16*>(tile + tile_offset<HeadSize>(token, piece)); });
}

template <int HeadSize>
__global__ void __launch_bounds__(warps * 32)
    decode_attention_kernel(paged_attention_call call, head_rotation rotation, attention_workspace workspace) {
  extern __shared__ __align__(128) unsigned char shared[];
  allow_next_kernel();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int sequence = static_cast<int>(blockIdx.z);
  const int head = static_cast<int>(blockIdx.y);
  const int group = static_cast<int>(call.heads / call.cache.heads);
  // The step's description was there before its first kernel, and so was all of the cache but the step's own tokens.
  const int kv_tokens = call.kv_tokens[sequence];
  const part_range range(kv_tokens, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  if (range.first >= range.end) return wait_for_input();
  const auto* blocks = call.table + call.table_start[sequence];
  const auto query_row = static_cast<std::size_t>(sequence);

  constexpr auto stage_bytes = static_cast<std::uint32_t>(2 * tile_tokens * HeadSize * sizeof(bf16));
  const auto memory = shared_address(shared) + warp * static_cast<std::uint32_t>(warp_bytes<HeadSize>());
  const int first = range.first + warp;
#pragma unroll
  for (int s = 0; s < stages - 1; ++s) {
    if (first + s * warps < range.end) fetch<HeadSize>(call, blocks, head, first + s * warps, memory + s * stage_bytes);
    commit_copies();
  }
  // After this block's own keys, which are waited for sooner.
  if (gridDim.z == 1) prefetch_share(call.next, blockIdx.y * range.parts + blockIdx.x, gridDim.y * range.parts);
  wait_for_input();
  const bf16* projection = call.query + query_row * call.query_stride;
  std::uint32_t query[HeadSize / 16][4];
  const bf16* first_query = projection + static_cast<std::size_t>(head) * group * HeadSize;
  load_query<HeadSize>(query, [&](int r) { return r < group ? first_query + r * HeadSize : nullptr; });
  rotate_query<HeadSize>(query, rotation, kv_tokens - 1);
  row_state<HeadSize> state;
  const float scale_log2 = call.scale * 1.4426950408889634F;
  int stage = 0;
  for (int tile = first; tile < range.end; tile += warps) {
    const int ahead = tile + (stages - 1) * warps;
    const int ahead_stage = stage == 0 ? stages - 1 : stage - 1;
    if (ahead < range.end) fetch<HeadSize>(call, blocks, head, ahead, memory + ahead_stage * stage_bytes);
    commit_copies();
    wait_copies<stages - 1>();
    __syncwarp();
    if (tile == (kv_tokens - 1) / tile_tokens) {
      append<HeadSize>(call, rotation, blocks, head, kv_tokens - 1,
                       projection + (call.heads + static_cast<std::size_t>(head)) * HeadSize,
                       shared + warp * warp_bytes<HeadSize>() + stage * stage_bytes);
      __syncwarp();
    }
    const auto keys = memory + stage * stage_bytes;
    float score[1][2][4] = {};
    row_state<HeadSize>::score_tokens(query, keys, 0, score[0]);
    if ((tile + 1) * tile_tokens > kv_tokens)
#pragma unroll
      for (int j = 0; j < 2; ++j)
#pragma unroll
        for (int c = 0; c < 4; ++c)
          if (tile * tile_tokens + j * 8 + lane % 4 * 2 + c % 2 >= kv_tokens) score[0][j][c] = -INFINITY;
    state.weigh(score, scale_log2);
    state.add_values(score[0], keys + tile_tokens * HeadSize * 2, 0);
    __syncwarp();
    stage = stage + 1 == stages ? 0 : stage + 1;
  }
  wait_copies<0>();
  __syncthreads();
  auto& merged = *reinterpret_cast<merged_rows<HeadSize>*>(shared);
  store_state(merged, state);
  __syncthreads();

  bf16* out = call.out + query_row * call.heads * HeadSize + static_cast<std::size_t>(head) * group * HeadSize;
  if (range.parts == 1) {
    for (int i = static_cast<int>(threadIdx.x); i < group * HeadSize; i += warps * 32)
      out[i] = narrow(merge_warps(merged, i / HeadSize, i % HeadSize).x);
    return;
  }
  const auto first_partial =
      (std::size_t{blockIdx.z} * call.heads + static_cast<std::size_t>(head) * group) * gridDim.x;
  float* partial = workspace.partial + first_partial * (HeadSize + 1);
  for (int i = static_cast<int>(threadIdx.x); i < group * HeadSize; i += warps * 32) {
    const auto value = merge_warps(merged, i / HeadSize, i % HeadSize);
    auto* to = partial + (static_cast<std::size_t>(i / HeadSize) * gridDim.x + blockIdx.x) * (HeadSize + 1);
    __stcg(to + i % HeadSize, value.x);
    if (i % HeadSize == 0) __stcg(to + HeadSize, value.y);
  }
  __threadfence();
  __syncthreads();
  __shared__ bool last;
  auto* arrived = workspace.arrived + std::size_t{blockIdx.z} * call.cache.heads + head;
  if (threadIdx.x == 0) {
    last = atomicAdd(arrived, 1) + 1 == static_cast<unsigned>(range.parts);
    if (last) *arrived = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  merge_parts<HeadSize>(call, partial, range.parts, static_cast<int>(gridDim.x), group, out);
}

template <int HeadSize>
void enqueue(const paged_attention_call& call, const head_rotation& rotation, std::size_t sequences, std::size_t parts,
             const attention_workspace& workspace, cuda_stream stream) {
  constexpr auto bytes = std::max(warps * warp_bytes<HeadSize>(), sizeof(merged_rows<HeadSize>));
  check(cudaFuncSetAttribute(decode_attention_kernel<HeadSize>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "decode_attention: shared memory");
  const dim3 grid(static_cast<unsigned>(parts), static_cast<unsigned>(call.cache.heads),
                  static_cast<unsigned>(sequences));
  launch("decode_attention", decode_attention_kernel<HeadSize>, grid, warps * 32, bytes, stream, call, rotation,
         workspace);
}

}  // namespace

std::size_t decode_parts(std::size_t sequences, std::size_t kv_heads, std::size_t multiprocessors) {
  constexpr std::size_t parts_max = 64;
  const auto alone = std::max<std::size_t>(1, sequences * kv_heads);
  return std::clamp<std::size_t>(2 * multiprocessors / alone, 1, parts_max);
}

void decode_attention_cuda(const paged_attention_call& call, const head_rotation& rotation, std::size_t sequences,
                           std::size_t parts, const attention_workspace& workspace, cuda_stream stream) {
  if (sequences == 0) return;
  if (call.cache.head_size == 128)
    enqueue<128>(call, rotation, sequences, parts, workspace, stream);
  else
    enqueue<64>(call, rotation, sequences, parts, workspace, stream);
}

}  // namespace troupe
