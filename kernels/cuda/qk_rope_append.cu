// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/head_pairs.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/qk_rope_append.hpp"

namespace troupe {

namespace {

constexpr int warps = 4;

/// A warp a head of a token. Grid: heads, tokens.
template <int HeadSize>
__global__ void __launch_bounds__(warps * 32) qk_rope_append_kernel(qk_rope_append_call call) {
  allow_next_kernel();
  const int heads = static_cast<int>(call.heads);
  const int kv_heads = static_cast<int>(call.cache.heads);
  const int head = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / 32;
  const std::size_t token = blockIdx.y;
  if (head >= heads + 2 * kv_heads) return;
  const bool is_query = head < heads;
  const bool is_value = head >= heads + kv_heads;
  wait_for_input();
  auto* x = call.qkv + (token * (heads + 2 * kv_heads) + head) * HeadSize;
  head_pairs<HeadSize> pairs(x);
  if (!is_value)
    pairs.norm_and_rotate(is_query ? call.rotation.q_norm : call.rotation.k_norm, call.rotation, call.positions[token]);
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
  pairs.store(to);
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
