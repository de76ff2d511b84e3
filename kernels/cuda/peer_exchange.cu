// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <string>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/peer_exchange.cuh"

namespace troupe {

namespace {

constexpr int row_warps = 16;
constexpr int reduce_threads = 128;
constexpr std::size_t reduce_blocks_max = 512;
constexpr int gather_threads = 256;
constexpr std::size_t gather_blocks_max = 128;

__device__ float2 load_pair(const float* from, std::size_t pair) {
  return *reinterpret_cast<const float2*>(from + 2 * pair);
}

__device__ float2 load_partial(const peer_reduce_call& call, std::size_t pair) {
  if (call.rounded == nullptr) return load_pair(call.partial, pair);
  const auto both = reinterpret_cast<const std::uint32_t*>(call.rounded)[pair];
  return {low_half(both), high_half(both)};
}

__device__ float2 add(float2 a, float2 b) { return {a.x + b.x, a.y + b.y}; }

/// The pairs `first`, `first + step`, ... below `pairs` of `Count`, summed over the ranks and into the residual;
/// returns what is there now. Everything is asked for before anything is waited for.
template <int Count>
__device__ void reduce_pairs(const peer_reduce_call& call, std::size_t first, std::size_t step, std::size_t pairs,
                             std::uint32_t tag, float2 (&result)[Count]) {
  const auto& channel = call.exchange.channel;
  float2 mine[Count];
#pragma unroll
  for (int k = 0; k < Count; ++k) {
    const auto i = first + k * step;
    mine[k] = i < pairs ? load_partial(call, i) : float2{};
  }
  if (!call.sent) {
#pragma unroll
    for (int k = 0; k < Count; ++k) {
      const auto i = first + k * step;
      if (i < pairs) send_to_all(call.exchange, i, mine[k].x, mine[k].y, tag);
    }
  }
#pragma unroll
  for (int k = 0; k < Count; ++k) {
    const auto i = first + k * step;
    result[k] = call.add && i < pairs ? load_pair(call.residual, i) : float2{};
  }
  float2 sum[Count] = {};
#pragma unroll 1
  for (std::uint32_t r = 0; r < channel.size; ++r) {
    float2 theirs[Count] = {};
    if (r != channel.rank)
      receive_pairs(channel.inbox[r] + slot_offset(call.exchange), first, step, pairs, tag, channel.stop, theirs);
#pragma unroll
    for (int k = 0; k < Count; ++k)
      sum[k] = add(sum[k], r == channel.rank ? mine[k] : theirs[k]);
  }
#pragma unroll
  for (int k = 0; k < Count; ++k) {
    const auto i = first + k * step;
    result[k] = add(result[k], sum[k]);
    if (i < pairs) *reinterpret_cast<float2*>(call.residual + 2 * i) = result[k];
  }
}

/// Neither kernel is a pass's first, so the number may be read while the kernel before still runs.
__device__ std::uint32_t tag_early(const peer_reduce_call& call) {
  return call.exchange.channel.size > 1 ? tag_of(call.exchange) : 0;
}

/// So few blocks that all are on the device at once: none may wait for one of another rank that cannot start.
__global__ void __launch_bounds__(reduce_threads) reduce_kernel(const __grid_constant__ peer_reduce_call call) {
  allow_next_kernel();
  const auto tag = tag_early(call);
  wait_for_input();
  const auto pairs = call.rows * call.columns / 2, step = std::size_t{gridDim.x} * blockDim.x;
  for (auto i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < pairs; i += step) {
    float2 done[1];
    reduce_pairs(call, i, step, i + 1, tag, done);
  }
}

/// One block a row; a thread holds `Count` pairs of it.
template <int Count>
__global__ void __launch_bounds__(row_warps * 32) reduce_norm_kernel(const __grid_constant__ peer_reduce_call call) {
  __shared__ float scratch[row_warps];
  allow_next_kernel();
  const auto tag = tag_early(call);
  wait_for_input();
  const auto pairs = call.columns / 2, row = blockIdx.x * pairs;
  float2 values[Count];
  reduce_pairs(call, row + threadIdx.x, blockDim.x, row + pairs, tag, values);
  float squares = 0;
#pragma unroll
  for (int k = 0; k < Count; ++k)
    if (threadIdx.x + k * blockDim.x < pairs) squares += values[k].x * values[k].x + values[k].y * values[k].y;
  const float scale = rsqrtf(block_sum<row_warps>(squares, scratch) / static_cast<float>(call.columns) + call.epsilon);
#pragma unroll
  for (int k = 0; k < Count; ++k) {
    const auto i = threadIdx.x + k * blockDim.x;
    if (i >= pairs) continue;
    const auto weight = reinterpret_cast<const std::uint32_t*>(call.norm)[i];
    reinterpret_cast<std::uint32_t*>(call.out)[row + i] =
        pack_pair(values[k].x * scale * low_half(weight), values[k].y * scale * high_half(weight));
  }
}

template <int Count>
void enqueue_reduce_norm(const peer_reduce_call& call, launch_order order, cuda_stream stream) {
  launch("peer_reduce_norm", reduce_norm_kernel<Count>, static_cast<unsigned>(call.rows), row_warps * 32, 0, stream,
         order, call);
}

void choose_reduce_norm(const peer_reduce_call& call, launch_order order, cuda_stream stream) {
  constexpr std::size_t columns_each = 2 * row_warps * 32;
  if (call.columns <= columns_each) return enqueue_reduce_norm<1>(call, order, stream);
  if (call.columns <= 2 * columns_each) return enqueue_reduce_norm<2>(call, order, stream);
  if (call.columns <= 4 * columns_each) return enqueue_reduce_norm<4>(call, order, stream);
  if (call.columns <= 5 * columns_each) return enqueue_reduce_norm<5>(call, order, stream);
  if (call.columns <= 8 * columns_each) return enqueue_reduce_norm<8>(call, order, stream);
  if (call.columns <= 16 * columns_each) return enqueue_reduce_norm<16>(call, order, stream);
  throw cuda_error("peer reduce: rows of " + std::to_string(call.columns) + " elements; at most " +
                   std::to_string(16 * columns_each) + " are possible");
}

__device__ std::size_t part_columns(const logits_gather_call& call, std::uint32_t rank) {
  const auto begin = min(call.vocabulary, rank * call.padded);
  return min(call.padded, call.vocabulary - begin);
}

__device__ void place(const logits_gather_call& call, std::uint32_t rank, std::size_t index, float value) {
  const auto columns = part_columns(call, rank);
  if (index >= call.rows * columns) return;
  call.logits[index / columns * call.vocabulary + rank * call.padded + index % columns] = value;
}

__global__ void __launch_bounds__(gather_threads)
    gather_kernel(const __grid_constant__ peer_exchange exchange, const __grid_constant__ logits_gather_call call) {
  allow_next_kernel();
  wait_for_input();
  const auto tag = tag_of(exchange);
  const auto& channel = exchange.channel;
  const auto first = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x, step = std::size_t{gridDim.x} * blockDim.x;
  const auto mine = call.rows * part_columns(call, channel.rank);
  for (auto i = first; 2 * i < mine; i += step) {
    const float a = call.part[2 * i], b = 2 * i + 1 < mine ? call.part[2 * i + 1] : 0;
    send_to_all(exchange, i, a, b, tag);
    place(call, channel.rank, 2 * i, a);
    place(call, channel.rank, 2 * i + 1, b);
  }
#pragma unroll 1
  for (std::uint32_t r = 0; r < channel.size; ++r) {
    if (r == channel.rank) continue;
    const auto theirs = call.rows * part_columns(call, r);
    for (auto i = first; 2 * i < theirs; i += step) {
      float2 pair[1];
      receive_pairs(channel.inbox[r] + slot_offset(exchange), i, step, i + 1, tag, channel.stop, pair);
      place(call, r, 2 * i, pair[0].x);
      place(call, r, 2 * i + 1, pair[0].y);
    }
  }
}

/// Grid: pieces of a part, ranks.
__global__ void __launch_bounds__(gather_threads)
    place_kernel(const __grid_constant__ logits_gather_call call, std::size_t stride) {
  const auto* part = call.part + blockIdx.y * stride;
  const auto all = call.rows * part_columns(call, blockIdx.y);
  for (auto i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < all; i += std::size_t{gridDim.x} * blockDim.x)
    place(call, blockIdx.y, i, part[i]);
}

unsigned blocks_for(std::size_t items, std::size_t threads, std::size_t most) {
  return static_cast<unsigned>(std::clamp<std::size_t>((items + threads - 1) / threads, 1, most));
}

}  // namespace

void peer_reduce_cuda(const peer_reduce_call& call, cuda_stream stream) {
  if (call.rows == 0) return;
  const auto& channel = call.exchange.channel;
  assert(channel.size == 1 || (call.rows <= exchange_rows_max && call.rows * call.columns <= channel.capacity));
  // A library's kernels may come before it, which know nothing of early starts: alone it starts in order.
  const auto order = channel.size == 1 ? launch_order::after : launch_order::overlapped;
  if (call.norm != nullptr)
    choose_reduce_norm(call, order, stream);
  else
    launch("peer_reduce", reduce_kernel, blocks_for(call.rows * call.columns / 2, reduce_threads, reduce_blocks_max),
           reduce_threads, 0, stream, order, call);
}

void gather_logits_cuda(const peer_exchange& exchange, const logits_gather_call& call, cuda_stream stream) {
  if (call.rows == 0) return;
  assert(call.rows * call.padded <= exchange.channel.capacity);
  launch("gather_logits", gather_kernel, blocks_for(call.rows * call.padded / 2, gather_threads, gather_blocks_max),
         gather_threads, 0, stream, launch_order::overlapped, exchange, call);
}

void place_logits_cuda(std::size_t size, std::size_t stride, const logits_gather_call& call, cuda_stream stream) {
  if (call.rows == 0) return;
  const dim3 grid(blocks_for(call.rows * call.padded, gather_threads, 1024), static_cast<unsigned>(size));
  launch("place_logits", place_kernel, grid, gather_threads, 0, stream, launch_order::after, call, stride);
}

}  // namespace troupe
