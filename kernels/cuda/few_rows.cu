// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>

#include "kernels/cuda/few_rows.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/load_once.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace troupe {

namespace {

constexpr int warps = 16;
constexpr int group_rows = 32;           // of the weight, two tiles of 16
constexpr int piece = 32;                // columns of a row that four lanes load, 16 bytes each
constexpr int pieces = 2;                // that a warp loads of each row at a time: a line of 128 bytes
constexpr int stretch = piece * pieces;  // columns of one such turn
constexpr int max_m = static_cast<int>(few_rows_max);
constexpr int row_stride = group_rows + 4;  // of sums in shared memory: no two lanes of a store meet in a bank

/// What a warp multiplies in one turn. Lane l has the weight's rows l / 4 + 8 i, row l / 4 of x, and of each piece the
/// eight columns from 8 * (l % 4): the tensor core's columns in an order of our own, the same on both sides.
struct operands {
  uint4 weight[pieces][4];
  uint4 x[pieces];
};

/// Where a lane reads: turns of one group after each other, then the next group.
class walk {
 public:
  __device__ walk(const few_rows_call& call)
      : columns_(static_cast<int>(call.columns)), rows_(static_cast<int>(call.rows)), gated_(call.gated != nullptr) {
    const int per_group = gated_ ? group_rows / 2 : group_rows;
    groups_ = ((gated_ ? rows_ / 2 : rows_) + per_group - 1) / per_group;
    turns_ = (columns_ + warps * stretch - 1) / (warps * stretch);
  }

  __device__ int groups() const { return groups_; }
  __device__ int turns() const { return turns_; }

  /// The weight's row that is row i of a group; too large where there is none. A gated product pairs row n with row
  /// rows / 2 + n.
  __device__ int row(int group, int i) const {
    if (!gated_) return group * group_rows + i;
    const int n = group * (group_rows / 2) + i % (group_rows / 2);
    if (n >= rows_ / 2) return rows_;
    return i < group_rows / 2 ? n : rows_ / 2 + n;
  }

  __device__ int column(int turn, int p) const {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    return (turn * warps + warp) * stretch + p * piece + lane % 4 * 8;
  }

  __device__ void load_weight(const few_rows_call& call, int group, int turn, operands& to) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const auto* from =
          call.weight + static_cast<std::size_t>(min(row(group, lane / 4 + 8 * i), rows_ - 1)) * columns_;
#pragma unroll
      for (int p = 0; p < pieces; ++p)
        to.weight[p][i] = column(turn, p) < columns_ ? load_once(from + column(turn, p)) : uint4{};
    }
  }

  __device__ void load_x(const few_rows_call& call, int turn, operands& to) const {
    const int row = static_cast<int>(threadIdx.x) % 32 / 4;
#pragma unroll
    for (int p = 0; p < pieces; ++p)
      to.x[p] =
          row < static_cast<int>(call.m) && column(turn, p) < columns_
              ? *reinterpret_cast<const uint4*>(call.x + static_cast<std::size_t>(row) * columns_ + column(turn, p))
              : uint4{};
  }

 private:
  int columns_, rows_;
  bool gated_;
  int groups_, turns_;
};

__device__ void multiply(const operands& from, float (&sum)[2][4]) {
#pragma unroll
  for (int p = 0; p < pieces; ++p) {
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      const auto &a = from.weight[p][2 * tile], &b = from.weight[p][2 * tile + 1];
      multiply_add(sum[tile], {a.x, b.x, a.y, b.y}, from.x[p].x, from.x[p].y);
      multiply_add(sum[tile], {a.z, b.z, a.w, b.w}, from.x[p].z, from.x[p].w);
    }
  }
}

using group_sums = float[warps][max_m][row_stride];

__device__ void leave(const float (&sum)[2][4], group_sums& sums) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int tile = 0; tile < 2; ++tile)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      sums[warp][2 * (lane % 4) + i % 2][16 * tile + lane / 4 + 8 * (i / 2)] = sum[tile][i];
}

__device__ float total(const group_sums& sums, int m, int i) {
  float value = 0;
#pragma unroll
  for (int w = 0; w < warps; ++w)
    value += sums[w][m][i];
  return value;
}

/// Thread t stores row t % 32 of the group for row t / 32 of x.
__device__ void store(const few_rows_call& call, const walk& way, int group, const group_sums& sums) {
  const int m = static_cast<int>(threadIdx.x) / 32, i = static_cast<int>(threadIdx.x) % 32;
  const int row = way.row(group, i), rows = static_cast<int>(call.rows);
  if (m >= static_cast<int>(call.m) || row >= rows) return;
  const auto at = static_cast<std::size_t>(m) * rows + row;
  if (call.gated != nullptr) {
    if (i < group_rows / 2)
      call.gated[static_cast<std::size_t>(m) * (rows / 2) + row] =
          narrow(silu(total(sums, m, i)) * total(sums, m, i + group_rows / 2));
  } else if (call.accumulated != nullptr) {
    call.accumulated[at] += total(sums, m, i);
  } else if (call.out_f32 != nullptr) {
    call.out_f32[at] = total(sums, m, i);
  } else {
    const float value = total(sums, m, i);
    call.out[at] = narrow(call.bias == nullptr ? value : value + widen(call.bias[row]));
  }
}

__global__ void __launch_bounds__(warps * 32, 1) few_rows_kernel(const __grid_constant__ few_rows_call call) {
  __shared__ group_sums sums[2];
  allow_next_kernel();
  const walk way(call);
  const int step = static_cast<int>(gridDim.x);
  operands buffer[2];
  int group = static_cast<int>(blockIdx.x), turn = 0;  // multiplied next
  int ahead_group = group, ahead_turn = 0;             // loaded next
  const auto go_on = [&](int& of_group, int& of_turn) {
    if (++of_turn < way.turns()) return;
    of_turn = 0;
    of_group += step;
  };
  const int first[2] = {0, way.turns() > 1 ? 1 : 0};
#pragma unroll
  for (int b = 0; b < 2; ++b) {  // nobody writes weights, so this need not wait
    if (ahead_group < way.groups()) way.load_weight(call, ahead_group, ahead_turn, buffer[b]);
    go_on(ahead_group, ahead_turn);
  }
  wait_for_input();
#pragma unroll
  for (int b = 0; b < 2; ++b)
    way.load_x(call, first[b], buffer[b]);

  float sum[2][4] = {};
  int parity = 0;
  while (group < way.groups()) {
#pragma unroll
    for (int b = 0; b < 2; ++b) {
      if (group >= way.groups()) break;
      multiply(buffer[b], sum);
      if (ahead_group < way.groups()) {
        way.load_weight(call, ahead_group, ahead_turn, buffer[b]);
        way.load_x(call, ahead_turn, buffer[b]);
      }
      go_on(ahead_group, ahead_turn);
      const int done = group;
      go_on(group, turn);
      if (group == done) continue;
      leave(sum, sums[parity]);
      __syncthreads();
      store(call, way, done, sums[parity]);
      parity ^= 1;  // nobody comes to write these again before all have read them: a barrier lies between
#pragma unroll
      for (auto& tile : sum)
#pragma unroll
        for (auto& value : tile)
          value = 0;
    }
  }
}

}  // namespace

few_rows_call few_rows_of(const gemm_call& call) {
  few_rows_call few{call.weight, call.n, call.k, call.x, call.m};
  few.bias = call.bias;
  if (call.out_type == dtype::bf16)
    few.out = static_cast<bf16*>(call.out);
  else if (call.accumulate)
    few.accumulated = static_cast<float*>(call.out);
  else
    few.out_f32 = static_cast<float*>(call.out);
  return few;
}

l2_prefetch first_weights(const few_rows_call& call) { return first_weights(call.weight, call.rows * call.columns); }

void few_rows_cuda(const few_rows_call& call, cuda_stream stream) {
  assert(call.m <= few_rows_max && call.columns % 8 == 0);
  if (call.m == 0 || call.rows == 0) return;
  int device = 0, multiprocessors = 0;
  check(cudaGetDevice(&device), "few rows: device");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "few rows: multiprocessors");
  const auto each = static_cast<std::size_t>(call.gated != nullptr ? group_rows / 2 : group_rows);
  const auto groups = ((call.gated != nullptr ? call.rows / 2 : call.rows) + each - 1) / each;
  const auto blocks = static_cast<unsigned>(std::min(groups, static_cast<std::size_t>(multiprocessors)));
  launch("few_rows", few_rows_kernel, blocks, warps * 32, 0, stream, call);
}

}  // namespace troupe
