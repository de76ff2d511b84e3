// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/peer_exchange.hpp"

namespace troupe {

/// Two values with their tags, as they lie in an inbox.
struct tagged_pair {
  float first;
  std::uint32_t first_tag;
  float second;
  std::uint32_t second_tag;
};

/// Not in a pass's first kernel before wait_for_input: the copy that brings the number comes just before it.
__device__ inline std::uint32_t tag_of(const peer_exchange& exchange) {
  return *exchange.pass * exchange.calls + exchange.call;
}

__device__ inline std::size_t slot_offset(const peer_exchange& exchange) {
  return std::size_t{exchange.slot} * exchange.channel.capacity * 8;
}

__device__ inline void send_pair(std::byte* to, float first, float second, std::uint32_t tag) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(to), "r"(__float_as_uint(first)), "r"(tag),
               "r"(__float_as_uint(second)), "r"(tag)
               : "memory");
}

__device__ inline void send_value(std::byte* to, float value, std::uint32_t tag) {
  asm volatile("st.volatile.global.v2.u32 [%0], {%1,%2};" ::"l"(to), "r"(__float_as_uint(value)), "r"(tag) : "memory");
}

__device__ inline tagged_pair look_at_pair(const std::byte* from) {
  tagged_pair pair;
  std::uint32_t first, second;
  asm volatile("ld.volatile.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(first), "=r"(pair.first_tag), "=r"(second), "=r"(pair.second_tag)
               : "l"(from)
               : "memory");
  pair.first = __uint_as_float(first);
  pair.second = __uint_as_float(second);
  return pair;
}

/// To every other rank.
__device__ inline void send_to_all(const peer_exchange& exchange, std::size_t pair, float first, float second,
                                   std::uint32_t tag) {
#pragma unroll 1
  for (std::uint32_t r = 0; r < exchange.channel.size; ++r)
    if (r != exchange.channel.rank)
      send_pair(exchange.channel.outbox[r] + slot_offset(exchange) + pair * 16, first, second, tag);
}

__device__ inline void send_value_to_all(const peer_exchange& exchange, std::size_t index, float value,
                                         std::uint32_t tag) {
#pragma unroll 1
  for (std::uint32_t r = 0; r < exchange.channel.size; ++r)
    if (r != exchange.channel.rank)
      send_value(exchange.channel.outbox[r] + slot_offset(exchange) + index * 8, value, tag);
}

/// Waits for the pairs at `first`, `first + step`, ... below `pairs` to come, all of them at once; zeros when the group
/// is stopped, since nobody uses that step's result.
template <int Count>
__device__ inline void receive_pairs(const std::byte* from, std::size_t first, std::size_t step, std::size_t pairs,
                                     std::uint32_t tag, const std::uint32_t* stop, float2 (&values)[Count]) {
  constexpr int looks = 1 << 10;
  while (true) {
    for (int look = 0; look < looks; ++look) {
      bool come = true;
#pragma unroll
      for (int k = 0; k < Count; ++k) {
        const auto i = first + k * step;
        if (i >= pairs) continue;
        const auto pair = look_at_pair(from + i * 16);
        values[k] = {pair.first, pair.second};
        come = come && pair.first_tag == tag && pair.second_tag == tag;
      }
      if (come) return;
    }
    if (*reinterpret_cast<const volatile std::uint32_t*>(stop) != 0) break;
  }
#pragma unroll
  for (int k = 0; k < Count; ++k)
    values[k] = {0, 0};
}

}  // namespace troupe
