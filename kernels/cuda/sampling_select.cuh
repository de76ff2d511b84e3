// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"
#include "kernels/cuda/sampling.hpp"

namespace troupe {

// How one block chooses among the logits of a row. Candidates are ordered by logit, then by lower id; top-k and top-p
// each keep a beginning of that order, which is found by radix selection on the logits' bits, eight at a time: a
// border value, and how many of the logits equal to it are kept, those with the lowest ids. Sums of weights are whole
// numbers, so no order of addition matters.

/// Weights in units of 2^-44; a row of 2^18 logits of weight 1 fits with room to spare.
using weight_sum = unsigned long long;
constexpr double weight_units = 17592186044416.0;

constexpr int select_threads = 1024;
constexpr int chunk_size = 4096;  ///< logits that one block weighs

struct best_logit {
  float value = -INFINITY;
  std::int32_t index = 0x7fffffff;
};

/// The greater, or the lower index; a NaN is never better.
__device__ inline best_logit better(best_logit a, best_logit b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

template <int Warps>
__device__ best_logit block_best(best_logit best, best_logit* scratch) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    best = better(best,
                  {__shfl_xor_sync(0xffffffffU, best.value, offset), __shfl_xor_sync(0xffffffffU, best.index, offset)});
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = best;
  __syncthreads();
  best = scratch[0];
  for (int w = 1; w < Warps; ++w)
    best = better(best, scratch[w]);
  return best;
}

template <int Warps, class T>
__device__ T block_total(T sum, T* scratch) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(0xffffffffU, sum, offset);
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = sum;
  __syncthreads();
  T total = 0;
  for (int w = 0; w < Warps; ++w)
    total += scratch[w];
  return total;
}

/// e^((logit - greatest) / temperature), and 0 below e^-87, as the CPU's.
struct weigher {
  float greatest;
  float scale;

  __device__ float as_float(float logit) const {
    const float exponent = (logit - greatest) * scale;
    return exponent < -87.0F || isnan(exponent) ? 0.0F : expf(exponent);
  }
  __device__ weight_sum operator()(float logit) const {
    return static_cast<weight_sum>(static_cast<double>(as_float(logit)) * weight_units);
  }
};

/// Greater keys for greater logits; a NaN is the least.
__device__ inline std::uint32_t key_of(float logit) {
  if (isnan(logit)) return 0;
  const auto bits = __float_as_uint(logit == 0 ? 0.0F : logit);  // both zeros are one value
  return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

struct select_scratch {
  weight_sum weights[256];
  std::uint32_t counts[256];
  weight_sum warp_weight[32];
  std::uint32_t warp_count[32];
  std::uint32_t border;
  std::uint32_t ties;
  weight_sum rest;
  std::int32_t found;
};

/// A beginning of the candidates: all above `border`, and `ties` of those equal to it.
struct kept_beginning {
  std::uint32_t border = 0;
  std::uint32_t ties = 0xffffffffU;
};

/// The shortest beginning whose measure reaches `wanted`: of counts or of weights, as ByWeight says.
template <bool ByWeight>
__device__ kept_beginning find_beginning(const float* row, int vocabulary, const weigher& weigh, weight_sum wanted,
                                         select_scratch& scratch) {
  std::uint32_t prefix = 0;
  auto rest = wanted;
  for (int shift = 24; shift >= 0; shift -= 8) {
    __syncthreads();
    if (threadIdx.x < 256) scratch.weights[threadIdx.x] = 0, scratch.counts[threadIdx.x] = 0;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += select_threads) {
      const auto key = key_of(row[i]);
      if (shift < 24 && key >> (shift + 8) != prefix) continue;
      const auto bin = key >> shift & 0xffU;
      const auto weight = weigh(row[i]);
      if (weight == 0) continue;
      atomicAdd(&scratch.counts[bin], 1U);
      if (ByWeight) atomicAdd(&scratch.weights[bin], weight);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int bin = 255;
      int last = 255;  // the least bin that has any
      for (; bin >= 0; --bin) {
        if (scratch.counts[bin] == 0) continue;
        last = bin;
        const auto measure = ByWeight ? scratch.weights[bin] : weight_sum{scratch.counts[bin]};
        if (measure >= rest) break;
        rest -= measure;
      }
      scratch.border = prefix << 8 | static_cast<std::uint32_t>(bin >= 0 ? bin : last);
      scratch.rest = bin >= 0 ? rest : ~weight_sum{0};
      scratch.ties = scratch.counts[last];
    }
    __syncthreads();
    prefix = scratch.border;
    rest = scratch.rest;
  }
  // All that is left are equal: as many as it takes, and at least one.
  auto ties = scratch.ties;
  if (ByWeight) {
    const auto each = scratch.weights[prefix & 0xffU] / scratch.ties;
    const auto needed = rest == ~weight_sum{0} ? weight_sum{ties} : (rest + each - 1) / each;
    ties = needed < ties ? static_cast<std::uint32_t>(needed) : ties;
  } else if (rest < ties) {
    ties = static_cast<std::uint32_t>(rest);
  }
  return {prefix, ties == 0 ? 1 : ties};
}

struct kept_all {
  __device__ bool operator()(float, std::uint32_t) const { return true; }
  __device__ bool is_tie(float) const { return false; }
};

/// What top-k, top-p and min-p leave; the second argument counts equals of the border with lower ids.
struct kept_limited {
  kept_beginning beginning;
  float weight_min;
  weigher weigh;

  __device__ bool operator()(float logit, std::uint32_t earlier_ties) const {
    const auto key = key_of(logit);
    return (key > beginning.border || (key == beginning.border && earlier_ties < beginning.ties)) &&
           weigh.as_float(logit) >= weight_min;
  }
  __device__ bool is_tie(float logit) const { return key_of(logit) == beginning.border; }
};

/// Over the row's logits [first, end) in order of id, `each(index, weight, sum before it)` for those kept. A block-wide
/// scan of four logits a thread at a time. Returns the whole sum; ties counts on from `ties`.
template <class Kept, class Each>
__device__ weight_sum scan_kept(const float* row, int first, int end, const weigher& weigh, const Kept& kept,
                                std::uint32_t& ties, select_scratch& scratch, Each each) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  weight_sum before = 0;
  for (int base = first; base < end; base += select_threads * 4) {
    const int mine = base + static_cast<int>(threadIdx.x) * 4;
    float logit[4];
    std::uint32_t my_ties = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      logit[j] = mine + j < end ? row[mine + j] : -INFINITY;
      if (mine + j < end && kept.is_tie(logit[j])) ++my_ties;
    }
    std::uint32_t tie_scan = my_ties;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const auto other = __shfl_up_sync(0xffffffffU, tie_scan, offset);
      if (lane >= offset) tie_scan += other;
    }
    __syncthreads();
    if (lane == 31) scratch.warp_count[warp] = tie_scan;
    __syncthreads();
    auto earlier = ties + tie_scan - my_ties;
    std::uint32_t all_ties = 0;
    for (int w = 0; w < select_threads / 32; ++w) {
      if (w < warp) earlier += scratch.warp_count[w];
      all_ties += scratch.warp_count[w];
    }
    ties += all_ties;
    weight_sum weight[4], my_sum = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const bool there = mine + j < end;
      weight[j] = there && kept(logit[j], earlier) ? weigh(logit[j]) : 0;
      if (there && kept.is_tie(logit[j])) ++earlier;
      my_sum += weight[j];
    }
    auto scan = my_sum;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const auto other = __shfl_up_sync(0xffffffffU, scan, offset);
      if (lane >= offset) scan += other;
    }
    if (lane == 31) scratch.warp_weight[warp] = scan;
    __syncthreads();
    auto sum = before + scan - my_sum;
    weight_sum all = 0;
    for (int w = 0; w < select_threads / 32; ++w) {
      if (w < warp) sum += scratch.warp_weight[w];
      all += scratch.warp_weight[w];
    }
    before += all;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (weight[j] != 0) each(mine + j, weight[j], sum);
      sum += weight[j];
    }
  }
  return before;
}

/// The kept logit of [first, end) whose part of the running sum contains `target`; the last one where none does.
template <class Kept>
__device__ std::int32_t find_in_chunk(const float* row, int first, int end, const weigher& weigh, const Kept& kept,
                                      weight_sum target, select_scratch& scratch) {
  __syncthreads();
  if (threadIdx.x == 0) scratch.found = -1;
  std::uint32_t ties = 0;
  __shared__ std::int32_t last;
  if (threadIdx.x == 0) last = -1;
  scan_kept(row, first, end, weigh, kept, ties, scratch, [&](int index, weight_sum weight, weight_sum before) {
    atomicMax(&last, index);
    if (before <= target && target < before + weight) scratch.found = index;
  });
  __syncthreads();
  return scratch.found >= 0 ? scratch.found : last;
}

/// Draws among what top-k, top-p and min-p leave.
__device__ inline std::int32_t draw_limited(const float* row, int vocabulary, const sampling_row& how,
                                            const weigher& weigh, double uniform, select_scratch& scratch) {
  kept_limited kept{{}, how.min_p, weigh};  // the greatest weight is 1
  const auto total_of_kept = [&] {
    std::uint32_t ties = 0;
    return scan_kept(row, 0, vocabulary, weigh, kept, ties, scratch, [](int, weight_sum, weight_sum) {});
  };
  kept.weight_min = 0;
  if (how.top_k > 0)
    kept.beginning = find_beginning<false>(row, vocabulary, weigh, static_cast<weight_sum>(how.top_k), scratch);
  if (how.top_p < 1.0F) {
    const auto wanted = static_cast<weight_sum>(static_cast<double>(how.top_p) * static_cast<double>(total_of_kept()));
    const auto by_weight = find_beginning<true>(row, vocabulary, weigh, wanted, scratch);
    const bool shorter = by_weight.border > kept.beginning.border ||
                         (by_weight.border == kept.beginning.border && by_weight.ties < kept.beginning.ties);
    if (shorter) kept.beginning = by_weight;
  }
  kept.weight_min = how.min_p;
  const auto total = total_of_kept();
  const auto target = static_cast<weight_sum>(uniform * static_cast<double>(total));
  return find_in_chunk(row, 0, vocabulary, weigh, kept, target, scratch);
}

/// kernels/philox.hpp's philox_uniform.
__device__ inline double philox_uniform_device(std::uint64_t seed, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32), c2 = 0,
                c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const auto high0 = __umulhi(0xD2511F53U, c0), low0 = 0xD2511F53U * c0;
    const auto high1 = __umulhi(0xCD9E8D57U, c2), low1 = 0xCD9E8D57U * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return static_cast<double>((static_cast<std::uint64_t>(c0) << 32 | c1) >> 11) * 0x1p-53;
}

}  // namespace troupe
