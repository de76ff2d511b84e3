// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/qk_rope_append.hpp"

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/math.cuh"

namespace troupe {

namespace {

constexpr int warps = 4;

/// A warp a head of a token; lane l holds the Pairs pairs (x[i], x[i + half]) from i = l * Pairs.
template <int HeadSize>
__global__ void __launch_bounds__(warps * 32) qk_rope_append_kernel(qk_rope_append_call call) {
  constexpr int half = HeadSize / 2;
  constexpr int pairs = half / 32;
  allow_next_kernel();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int heads = static_cast<int>(call.heads);
  const int kv_heads = static_cast<int>(call.cache.heads);
  const int head = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / 32;
  const std::size_t token = blockIdx.y;
  if (head >= heads + 2 * kv_heads) return;
  const bool is_query = head < heads;
  const bool is_value = head >= heads + kv_heads;
  wait_for_input();
  auto* x = call.qkv + (token * (heads + 2 * kv_heads) + head) * HeadSize;
  float a[pairs], b[pairs];
#pragma unroll
  for (int j = 0; j < pairs; ++j) {
    a[j] = widen(x[lane * pairs + j]);
    b[j] = widen(x[half + lane * pairs + j]);
  }
  const auto* norm = is_query ? call.q_norm : call.k_norm;
  if (!is_value && norm != nullptr) {
    float squares = 0;
#pragma unroll
    for (int j = 0; j < pairs; ++j)
      squares += a[j] * a[j] + b[j] * b[j];
    const float scale = rsqrtf(warp_sum(squares) / HeadSize + call.epsilon);
#pragma unroll
    for (int j = 0; j < pairs; ++j) {
      a[j] *= scale * widen(norm[lane * pairs + j]);
      b[j] *= scale * widen(norm[half + lane * pairs + j]);
    }
  }
  if (!is_value) {
    const auto position = static_cast<float>(call.positions[token]);
#pragma unroll
    for (int j = 0; j < pairs; ++j) {
      float sine, cosine;
      sincosf(position * call.frequencies[lane * pairs + j], &sine, &cosine);
      const float rotated = a[j] * cosine - b[j] * sine;
      b[j] = b[j] * cosine + a[j] * sine;
      a[j] = rotated;
    }
  }
  auto* to = x;
  if (!is_query) {
    const auto slot = call.slots[token];
    if (slot < 0) return;
    const auto block_tokens = static_cast<std::int32_t>(call.cache.block_tokens);
    const auto index = head - heads;  // the heads of keys come first, then those of values, as in a block
    to = call.cache.data +
         ((static_cast<std::size_t>(slot / block_tokens) * 2 * kv_heads + index) * block_tokens + slot % block_tokens) *
             HeadSize;
  }
#pragma unroll
  for (int j = 0; j < pairs; ++j) {
    to[lane * pairs + j] = narrow(a[j]);
    to[half + lane * pairs + j] = narrow(b[j]);
  }
}

}  // namespace

void qk_rope_append_cuda(const qk_rope_append_call& call, cuda_stream stream) {
  if (call.tokens == 0) return;
  const auto heads = call.heads + 2 * call.cache.heads;
  const dim3 grid(static_cast<unsigned>((heads + warps - 1) / warps), static_cast<unsigned>(call.tokens));
  const auto kernel = call.cache.head_size == 128 ? qk_rope_append_kernel<128> : qk_rope_append_kernel<64>;
  launch("qk_rope_append", kernel, grid, warps * 32, 0, stream, call);
}

}  // namespace troupe
