// SPDX-License-Identifier: Apache-2.0
#include <cassert>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sampling.hpp"
#include "kernels/cuda/sampling_select.cuh"

namespace troupe {

namespace {

constexpr int chunk_threads = 256;

/// Per chunk of a row: the greatest logit, where it is, and the sum of weights.
struct chunk_summary {
  float greatest;
  std::int32_t index;
  weight_sum weight;
};

std::size_t chunks_of(std::size_t vocabulary) { return (vocabulary + chunk_size - 1) / chunk_size; }

/// One block a row; a thread an adjustment. As runtime/engine/sampler.cpp: bias, repetition, presence and frequency.
__global__ void adjust_kernel(float* logits, std::int64_t vocabulary, const sampling_row* params,
                              logit_adjustment* adjustments) {
  allow_next_kernel();
  wait_for_input();
  const auto& row = params[blockIdx.x];
  for (auto i = threadIdx.x; i < row.adjustments; i += blockDim.x) {
    auto& change = adjustments[row.first_adjustment + i];
    auto& logit = logits[blockIdx.x * vocabulary + change.token];
    change.saved = logit;
    float x = __fadd_rn(logit, change.bias);
    if (change.seen != 0 && row.repetition_penalty != 1.0F)
      x = x > 0 ? __fdiv_rn(x, row.repetition_penalty) : __fmul_rn(x, row.repetition_penalty);
    if (change.outputs != 0)
      x = __fadd_rn(
          x, -__fadd_rn(row.presence_penalty, __fmul_rn(row.frequency_penalty, static_cast<float>(change.outputs))));
    logit = x;
  }
}

__global__ void restore_kernel(float* logits, std::int64_t vocabulary, const sampling_row* params,
                               const logit_adjustment* adjustments) {
  allow_next_kernel();
  wait_for_input();
  const auto& row = params[blockIdx.x];
  for (auto i = threadIdx.x; i < row.adjustments; i += blockDim.x) {
    const auto& change = adjustments[row.first_adjustment + i];
    logits[blockIdx.x * vocabulary + change.token] = change.saved;
  }
}

/// Grid: chunks, rows.
__global__ void __launch_bounds__(chunk_threads)
    greatest_kernel(const float* logits, int vocabulary, chunk_summary* summaries) {
  __shared__ best_logit scratch[chunk_threads / 32];
  allow_next_kernel();
  wait_for_input();
  const auto* row = logits + static_cast<std::size_t>(blockIdx.y) * vocabulary;
  const int first = static_cast<int>(blockIdx.x) * chunk_size;
  best_logit best;
  for (int i = first + static_cast<int>(threadIdx.x); i < min(vocabulary, first + chunk_size); i += chunk_threads)
    best = better(best, {row[i], i});
  best = block_best<chunk_threads / 32>(best, scratch);
  if (threadIdx.x == 0) {
    auto& summary = summaries[blockIdx.y * gridDim.x + blockIdx.x];
    summary.greatest = best.value;
    summary.index = best.index;
  }
}

/// The greatest logit of a row, in every thread.
template <int Threads>
__device__ best_logit best_of(const chunk_summary* summaries, int chunks, best_logit* scratch) {
  best_logit best;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += Threads)
    best = better(best, {summaries[c].greatest, summaries[c].index});
  return block_best<Threads / 32>(best, scratch);
}

/// Grid: chunks, rows. The chunk's share of the row's weight, for rows that draw.
__global__ void __launch_bounds__(chunk_threads)
    weigh_kernel(const float* logits, int vocabulary, const sampling_row* params, chunk_summary* summaries) {
  __shared__ weight_sum scratch[chunk_threads / 32];
  allow_next_kernel();
  wait_for_input();
  const auto& how = params[blockIdx.y];
  if (how.temperature == 0.0F) return;
  const auto* row = logits + static_cast<std::size_t>(blockIdx.y) * vocabulary;
  auto* of_row = summaries + blockIdx.y * gridDim.x;
  __shared__ best_logit best_scratch[chunk_threads / 32];
  const auto best = best_of<chunk_threads>(of_row, static_cast<int>(gridDim.x), best_scratch);
  const weigher weigh{best.value, 1.0F / how.temperature};
  const int first = static_cast<int>(blockIdx.x) * chunk_size;
  weight_sum sum = 0;
  for (int i = first + static_cast<int>(threadIdx.x); i < min(vocabulary, first + chunk_size); i += chunk_threads)
    sum += weigh(row[i]);
  sum = block_total<chunk_threads / 32>(sum, scratch);
  if (threadIdx.x == 0) of_row[blockIdx.x].weight = sum;
}

/// The token at which the running sum of weights in order of id passes the draw, without any limit on candidates.
__device__ std::int32_t draw_from_chunks(const float* row, int vocabulary, const chunk_summary* summaries, int chunks,
                                         const weigher& weigh, double uniform, select_scratch& scratch) {
  weight_sum total = 0;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += select_threads)
    total += summaries[c].weight;
  total = block_total<select_threads / 32>(total, scratch.warp_weight);
  auto rest = static_cast<weight_sum>(uniform * static_cast<double>(total));
  int chunk = 0;
  // One warp's width of chunks at a time: a lane's sum of those up to it.
  for (int base = 0; base < chunks; base += 32) {
    const int mine = base + static_cast<int>(threadIdx.x) % 32;
    const auto weight = mine < chunks ? summaries[mine].weight : 0;
    auto upto = weight;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const auto other = __shfl_up_sync(0xffffffffU, upto, offset);
      if (static_cast<int>(threadIdx.x) % 32 >= offset) upto += other;
    }
    const auto beyond = __ballot_sync(0xffffffffU, mine < chunks && upto > rest);
    if (beyond != 0) {
      const int lane = __ffs(static_cast<int>(beyond)) - 1;
      chunk = base + lane;
      rest -= __shfl_sync(0xffffffffU, upto - weight, lane);
      break;
    }
    rest -= __shfl_sync(0xffffffffU, upto, 31);
    chunk = min(base + 31, chunks - 1);
  }
  const int first = chunk * chunk_size;
  return find_in_chunk(row, first, min(vocabulary, first + chunk_size), weigh, kept_all{}, rest, scratch);
}

/// One block a row: the outcome's token.
__global__ void __launch_bounds__(select_threads)
    choose_kernel(const float* logits, int vocabulary, const sampling_row* params, const chunk_summary* summaries,
                  int chunks, sampling_outcome* outcomes, std::int32_t* chosen) {
  __shared__ select_scratch scratch;
  __shared__ best_logit best_scratch[select_threads / 32];
  allow_next_kernel();
  wait_for_input();
  const auto& how = params[blockIdx.x];
  const auto* row = logits + static_cast<std::size_t>(blockIdx.x) * vocabulary;
  const auto* of_row = summaries + blockIdx.x * chunks;
  const auto best = best_of<select_threads>(of_row, chunks, best_scratch);
  auto token = best.index;
  if (!isfinite(best.value)) {
    token = -1;
  } else if (how.temperature != 0.0F) {
    const weigher weigh{best.value, 1.0F / how.temperature};
    const double uniform = philox_uniform_device(how.seed, how.position);
    const bool limited = how.top_k > 0 || how.top_p < 1.0F || how.min_p > 0.0F;
    token = limited ? draw_limited(row, vocabulary, how, weigh, uniform, scratch)
                    : draw_from_chunks(row, vocabulary, of_row, chunks, weigh, uniform, scratch);
  }
  if (threadIdx.x == 0) outcomes[blockIdx.x].token = chosen[blockIdx.x] = token;
}

/// One block a row: log-probabilities of the raw logits, for rows that ask.
__global__ void __launch_bounds__(select_threads)
    logprob_kernel(const float* logits, int vocabulary, const sampling_row* params, sampling_outcome* outcomes) {
  __shared__ best_logit best_scratch[select_threads / 32];
  __shared__ double sum_scratch[select_threads / 32];
  allow_next_kernel();
  wait_for_input();
  const auto& how = params[blockIdx.x];
  auto& outcome = outcomes[blockIdx.x];
  if (how.logprobs < 0 || outcome.token < 0) return;
  const auto* row = logits + static_cast<std::size_t>(blockIdx.x) * vocabulary;
  const auto find_below = [&](best_logit limit) {
    best_logit best;
    for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += select_threads) {
      const best_logit x{row[i], i};
      if (x.value < limit.value || (x.value == limit.value && i > limit.index)) best = better(best, x);
    }
    return block_best<select_threads / 32>(best, best_scratch);
  };
  auto next = find_below({INFINITY, -1});
  const float greatest = next.value;
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += select_threads)
    sum += expf(row[i] - greatest);
  const double log_sum = greatest + log(block_total<select_threads / 32>(sum, sum_scratch));
  if (threadIdx.x == 0) outcome.logprob = static_cast<float>(row[outcome.token] - log_sum);
  for (int k = 0; k < how.logprobs; ++k) {
    if (threadIdx.x == 0) {
      outcome.top_token[k] = next.index;
      outcome.top_logprob[k] = static_cast<float>(next.value - log_sum);
    }
    if (k + 1 < how.logprobs) next = find_below(next);
  }
}

}  // namespace

std::size_t sampling_workspace_bytes(std::size_t rows, std::size_t vocabulary) {
  return rows * chunks_of(vocabulary) * sizeof(chunk_summary);
}

void sample_cuda(const sampling_call& call, const sampling_needs& needs, cuda_stream stream) {
  if (call.rows == 0) return;
  const auto rows = static_cast<unsigned>(call.rows);
  const auto vocabulary = static_cast<int>(call.vocabulary);
  const auto chunks = static_cast<unsigned>(chunks_of(call.vocabulary));
  auto* summaries = static_cast<chunk_summary*>(call.workspace);
  if (needs.adjusted)
    launch("adjust_logits", adjust_kernel, rows, 256, 0, stream, call.logits, std::int64_t{vocabulary}, call.params,
           call.adjustments);
  launch("greatest_logit", greatest_kernel, dim3(chunks, rows), chunk_threads, 0, stream, call.logits, vocabulary,
         summaries);
  if (needs.random)
    launch("weigh_logits", weigh_kernel, dim3(chunks, rows), chunk_threads, 0, stream, call.logits, vocabulary,
           call.params, summaries);
  launch("choose_token", choose_kernel, rows, select_threads, 0, stream, call.logits, vocabulary, call.params,
         summaries, static_cast<int>(chunks), call.outcomes, call.chosen);
  if (needs.adjusted)
    launch("restore_logits", restore_kernel, rows, 256, 0, stream, call.logits, std::int64_t{vocabulary}, call.params,
           call.adjustments);
  if (needs.logprobs)
    launch("logprobs", logprob_kernel, rows, select_threads, 0, stream, call.logits, vocabulary, call.params,
           call.outcomes);
}

}  // namespace troupe
