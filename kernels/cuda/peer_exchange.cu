// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>

#include "kernels/cuda/l2_prefetch.cuh"
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

/// The sum over the ranks of the pair at `index`, of which this rank's is `mine`.
__device__ float2 sum_of_ranks(const peer_exchange& exchange, std::size_t index, float2 mine, std::uint32_t tag) {
  float2 sum{0, 0};
#pragma unroll
  for (std::uint32_t r = 0; r < exchange_ranks_max; ++r) {
    if (r >= exchange.channel.size) break;
    auto value = mine;
    if (r != exchange.channel.rank)
      value = receive_pair(exchange.channel.inbox[r] + slot_offset(exchange) + index * 16, tag, exchange.channel.stop);
    sum = {sum.x + value.x, sum.y + value.y};
  }
  return sum;
}

__device__ float2 load_pair(const float* from, std::size_t pair) {
  return *reinterpret_cast<const float2*>(from + 2 * pair);
}

/// Returns what it left in the residual.
__device__ float2 reduce_pair(const peer_reduce_call& call, std::size_t pair, float2 mine, std::uint32_t tag) {
  auto value = sum_of_ranks(call.exchange, pair, mine, tag);
  if (call.add) {
    const auto before = load_pair(call.residual, pair);
    value = {before.x + value.x, before.y + value.y};
  }
  *reinterpret_cast<float2*>(call.residual + 2 * pair) = value;
  return value;
}

/// So few blocks that all are on the device at once: none may wait for one of another rank that cannot start.
__global__ void __launch_bounds__(reduce_threads) reduce_kernel(const __grid_constant__ peer_reduce_call call) {
  allow_next_kernel();
  prefetch_share(call.next, blockIdx.x, gridDim.x);
  wait_for_input();
  const auto tag = call.exchange.channel.size > 1 ? tag_of(call.exchange) : 0;
  const auto pairs = call.rows * call.columns / 2, step = std::size_t{gridDim.x} * blockDim.x;
  const auto first = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (!call.sent) {
    for (auto i = first; i < pairs; i += step) {
      const auto mine = load_pair(call.partial, i);
      send_to_all(call.exchange, i, mine.x, mine.y, tag);
    }
  }
  for (auto i = first; i < pairs; i += step)
    reduce_pair(call, i, load_pair(call.partial, i), tag);
}

/// One block a row. What the row needs from others is asked for in a second turn, when all of this rank's is on its
/// way.
__global__ void __launch_bounds__(row_warps * 32) reduce_norm_kernel(const __grid_constant__ peer_reduce_call call) {
  __shared__ float scratch[row_warps];
  allow_next_kernel();
  prefetch_share(call.next, blockIdx.x, gridDim.x);
  wait_for_input();
  const auto tag = call.exchange.channel.size > 1 ? tag_of(call.exchange) : 0;
  const auto pairs = call.columns / 2;
  const auto row = blockIdx.x * pairs;
  if (!call.sent && call.exchange.channel.size > 1) {
    for (std::size_t i = threadIdx.x; i < pairs; i += blockDim.x) {
      const auto mine = load_pair(call.partial, row + i);
      send_to_all(call.exchange, row + i, mine.x, mine.y, tag);
    }
  }
  float squares = 0;
  for (std::size_t i = threadIdx.x; i < pairs; i += blockDim.x) {
    const auto value = reduce_pair(call, row + i, load_pair(call.partial, row + i), tag);
    squares += value.x * value.x + value.y * value.y;
  }
  const float scale = rsqrtf(block_sum<row_warps>(squares, scratch) / static_cast<float>(call.columns) + call.epsilon);
  for (std::size_t i = threadIdx.x; i < pairs; i += blockDim.x) {
    const auto value = load_pair(call.residual, row + i);
    const auto weight = reinterpret_cast<const std::uint32_t*>(call.norm)[i];
    reinterpret_cast<std::uint32_t*>(call.out)[row + i] =
        pack_pair(value.x * scale * low_half(weight), value.y * scale * high_half(weight));
  }
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
#pragma unroll
  for (std::uint32_t r = 0; r < exchange_ranks_max; ++r) {
    if (r >= channel.size || r == channel.rank) continue;
    const auto theirs = call.rows * part_columns(call, r);
    for (auto i = first; 2 * i < theirs; i += step) {
      const auto pair = receive_pair(channel.inbox[r] + slot_offset(exchange) + i * 16, tag, channel.stop);
      place(call, r, 2 * i, pair.x);
      place(call, r, 2 * i + 1, pair.y);
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
    launch("peer_reduce_norm", reduce_norm_kernel, static_cast<unsigned>(call.rows), row_warps * 32, 0, stream, order,
           call);
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
