// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/cuda/gemv.hpp"
#include "kernels/cuda/l2_prefetch.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/load_once.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/peer_exchange.cuh"

namespace troupe {

namespace {

__device__ float dot(const uint4& w, const float (&x)[8], float sum) {
  sum = fmaf(low_half(w.x), x[0], sum);
  sum = fmaf(high_half(w.x), x[1], sum);
  sum = fmaf(low_half(w.y), x[2], sum);
  sum = fmaf(high_half(w.y), x[3], sum);
  sum = fmaf(low_half(w.z), x[4], sum);
  sum = fmaf(high_half(w.z), x[5], sum);
  sum = fmaf(low_half(w.w), x[6], sum);
  return fmaf(high_half(w.w), x[7], sum);
}

/// Which of the weight's rows is row r of a group. A gated product pairs row n with row rows / 2 + n.
template <int Rows>
__device__ int row_of(const gemv_call& call, int group, int r) {
  if (call.gated == nullptr) return group * Rows + r;
  const int n = group * (Rows / 2) + r % (Rows / 2);
  const int half = static_cast<int>(call.rows) / 2;
  if (n >= half) return static_cast<int>(call.rows);
  return r < Rows / 2 ? n : half + n;
}

/// In place of peer_exchange, for a product that stays here. Sending is a kernel of its own: its registers would cost
/// the others a block on each multiprocessor.
struct no_exchange {};

__device__ std::uint32_t tag_of(const no_exchange&) { return 0; }
__device__ void send_value_to_all(const no_exchange&, std::size_t, float, std::uint32_t) {}

template <int Rows, class Exchange>
__device__ void store(const gemv_call& call, const Exchange& send, int group, int r, float value, float paired,
                      std::uint32_t tag) {
  const int row = row_of<Rows>(call, group, r);
  if (row >= static_cast<int>(call.rows)) return;
  if (call.gated != nullptr) {
    if (r < Rows / 2) call.gated[row] = narrow(silu(value) * paired);
  } else if (call.accumulated != nullptr) {
    call.accumulated[row] += value;
  } else if (call.out_f32 != nullptr) {
    call.out_f32[row] = value;
    send_value_to_all(send, static_cast<std::size_t>(row), value, tag);
  } else {
    call.out[row] = narrow(call.bias == nullptr ? value : value + widen(call.bias[row]));
  }
}

/// `Warps` warps share the columns: lane l of warp w holds the Vectors pieces of 8 that begin at
/// v * Warps * 256 + w * 256 + l * 8. A block takes groups of `Rows` rows, gridDim.x groups apart.
template <int Warps, int Vectors, int Rows, class Exchange>
__global__ void __launch_bounds__(Warps * 32, Warps == 8 && Vectors == 3 ? 2 : 1)
    gemv_kernel(gemv_call call, const __grid_constant__ Exchange send) {
  __shared__ float sums[2][Warps][Rows];
  __shared__ float scratch[Warps];
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int columns = static_cast<int>(call.columns), rows = static_cast<int>(call.rows);
  const int groups = (rows + Rows - 1) / Rows;
  const int first_column = static_cast<int>(threadIdx.x) * 8;
  allow_next_kernel();

  uint4 weight[Rows][Vectors];
  const auto fetch = [&](int group) {
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const int row = min(row_of<Rows>(call, group, r), rows - 1);
#pragma unroll
      for (int v = 0; v < Vectors; ++v) {
        const int column = first_column + v * Warps * 256;
        if (column < columns)
          weight[r][v] = load_once(call.weight + static_cast<std::size_t>(row) * columns + column);
        else
          weight[r][v] = uint4{};
      }
    }
  };
  int group = static_cast<int>(blockIdx.x);
  fetch(group);  // nobody writes weights, so this need not wait
  // A product of several turns keeps the memory busy up to its end, where the next kernel's own fetch takes over.
  if (groups == static_cast<int>(gridDim.x)) prefetch_share(call.next, blockIdx.x, gridDim.x);
  wait_for_input();
  const auto tag = tag_of(send);

  float x[Vectors][8];
  float squares = 0;
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    const int column = first_column + v * Warps * 256;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      x[v][i] = 0;
    if (column >= columns) continue;
    if (call.residual != nullptr) {
      const auto a = *reinterpret_cast<const float4*>(call.residual + column);
      const auto b = *reinterpret_cast<const float4*>(call.residual + column + 4);
      x[v][0] = a.x, x[v][1] = a.y, x[v][2] = a.z, x[v][3] = a.w;
      x[v][4] = b.x, x[v][5] = b.y, x[v][6] = b.z, x[v][7] = b.w;
    } else {
      const auto a = *reinterpret_cast<const uint4*>(call.x + column);
      x[v][0] = low_half(a.x), x[v][1] = high_half(a.x), x[v][2] = low_half(a.y), x[v][3] = high_half(a.y);
      x[v][4] = low_half(a.z), x[v][5] = high_half(a.z), x[v][6] = low_half(a.w), x[v][7] = high_half(a.w);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i)
      squares = fmaf(x[v][i], x[v][i], squares);
  }
  if (call.residual != nullptr) {
    const float scale = rsqrtf(block_sum<Warps>(squares, scratch) / static_cast<float>(columns) + call.epsilon);
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      const int column = first_column + v * Warps * 256;
      if (column >= columns) continue;
      const auto n = *reinterpret_cast<const uint4*>(call.norm + column);
      const float norm[8] = {low_half(n.x), high_half(n.x), low_half(n.y), high_half(n.y),
                             low_half(n.z), high_half(n.z), low_half(n.w), high_half(n.w)};
#pragma unroll
      for (int i = 0; i < 8; ++i)
        x[v][i] = widen(narrow(x[v][i] * scale * norm[i]));  // as the norm of several rows rounds it
    }
  }

  for (int turn = 0; group < groups; turn ^= 1) {
    float sum[Rows];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      sum[r] = 0;
#pragma unroll
      for (int v = 0; v < Vectors; ++v)
        sum[r] = dot(weight[r][v], x[v], sum[r]);
    }
    const int done = group;
    group += static_cast<int>(gridDim.x);
    if (group < groups) fetch(group);
#pragma unroll
    for (int r = 0; r < Rows; ++r)
      sum[r] = warp_sum(sum[r]);
#pragma unroll
    for (int r = 0; r < Rows; ++r)
      if (lane == r) sums[turn][warp][r] = sum[r];
    __syncthreads();
    if (threadIdx.x < Rows) {
      const int r = static_cast<int>(threadIdx.x);
      float value = 0, paired = 0;
#pragma unroll
      for (int w = 0; w < Warps; ++w) {
        value += sums[turn][w][r];
        paired += sums[turn][w][(r + Rows / 2) % Rows];
      }
      store<Rows>(call, send, done, r, value, paired, tag);
    }
  }
}

template <int Warps, int Vectors, int Rows, class Exchange>
void enqueue(const gemv_call& call, const Exchange& send, cuda_stream stream) {
  constexpr auto kernel = gemv_kernel<Warps, Vectors, Rows, Exchange>;
  int device = 0, multiprocessors = 0, resident = 0;
  check(cudaGetDevice(&device), "gemv: device");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "gemv: multiprocessors");
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, Warps * 32, 0), "gemv: occupancy");
  const auto blocks_max = std::max(1, resident) * multiprocessors;
  const auto groups = static_cast<int>((call.rows + Rows - 1) / Rows);
  const auto turns = (groups + blocks_max - 1) / blocks_max;
  const auto blocks = static_cast<unsigned>((groups + turns - 1) / turns);
  launch("gemv", kernel, blocks, Warps * 32, 0, stream, call, send);
}

template <class Exchange>
void choose(const gemv_call& call, const Exchange& send, cuda_stream stream) {
  if (call.columns <= 1024) return enqueue<4, 1, 8>(call, send, stream);
  if (call.columns <= 2048) return enqueue<8, 1, 8>(call, send, stream);
  if (call.columns <= 4096) return enqueue<8, 2, 4>(call, send, stream);
  if (call.columns <= 6144) return enqueue<8, 3, 4>(call, send, stream);
  if (call.columns <= 8192) return enqueue<16, 2, 4>(call, send, stream);
  if (call.columns <= 12288) return enqueue<16, 3, 4>(call, send, stream);
  if (call.columns <= 20480) return enqueue<16, 5, 2>(call, send, stream);
  if (call.columns <= gemv_columns_max) return enqueue<16, 7, 2>(call, send, stream);
  throw cuda_error("gemv: rows of " + std::to_string(call.columns) + " elements; at most " +
                   std::to_string(gemv_columns_max) + " are possible");
}

}  // namespace

l2_prefetch first_weights(const gemv_call& call) {
  const auto all = call.rows * call.columns;
  if (call.gated == nullptr) return first_weights(call.weight, all);
  auto half = first_weights(call.weight, all / 2);
  half.second = call.weight + all / 2;
  half.bytes = std::min(half.bytes, l2_prefetch_bytes / 2);
  return half;
}

void gemv_cuda(const gemv_call& call, cuda_stream stream) { choose(call, no_exchange{}, stream); }

void gemv_send_cuda(const gemv_call& call, const peer_exchange& send, cuda_stream stream) {
  choose(call, send, stream);
}

}  // namespace troupe
