// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

inline constexpr std::size_t exchange_ranks_max = 8;
/// Places in an inbox, so that two exchanges that follow each other never use the same one.
inline constexpr std::size_t exchange_slots = 4;
/// Rows of one exchange: one block each, and all of them must be on the device at once.
inline constexpr std::size_t exchange_rows_max = 256;

/// Memory through which ranks whose devices reach each other pass float32 values. A value travels with the tag of its
/// exchange, 8 bytes together, so a reader waits for the value itself and neither side needs a fence or a signal.
///
/// A rank's inbox has exchange_slots places of `capacity` values from each rank. A rank may write into a place again
/// once it has completed a later exchange: the others have then completed the earlier one.
struct peer_channel {
  std::uint32_t rank = 0;
  std::uint32_t size = 1;
  std::uint32_t capacity = 0;
  std::byte* outbox[exchange_ranks_max] = {};       ///< at rank r's device: what comes from this rank
  const std::byte* inbox[exchange_ranks_max] = {};  ///< on this device: what comes from rank r
  const std::uint32_t* stop = nullptr;              ///< page-locked host memory; not 0 ends every wait

  static std::size_t inbox_bytes(std::size_t size, std::size_t capacity) {
    return size * exchange_slots * capacity * 8;
  }
};

/// One of the exchanges of a forward pass. All ranks make the same ones in the same order.
struct peer_exchange {
  peer_channel channel{};
  const std::uint32_t* pass =
      nullptr;              ///< on the device: the number of the pass, from 1, so that a graph can be replayed
  std::uint32_t calls = 0;  ///< exchanges that a pass can have
  std::uint32_t call = 0;   ///< which of them
  std::uint32_t slot = 0;
};

/// residual (+)= the sum of all ranks' `partial`, added in rank order, so that every rank gets the same bits; then
/// out = rms_norm(residual) * norm where there is a norm. With a channel of one rank: residual (+)= partial.
struct peer_reduce_call {
  peer_exchange exchange{};
  const float* partial = nullptr;  ///< [rows, columns]
  const bf16* rounded = nullptr;   ///< in its place, with a channel of one rank: the sum of all ranks, [rows, columns]
  bool sent = false;               ///< this rank's partial has been sent by the kernel that made it
  float* residual = nullptr;       ///< [rows, columns]
  bool add = true;                 ///< else what was in residual is replaced
  std::size_t rows = 0;            ///< at most exchange_rows_max when there are several ranks
  std::size_t columns = 0;         ///< a multiple of 8
  const bf16* norm = nullptr;      ///< [columns] or null
  float epsilon = 0;
  bf16* out = nullptr;  ///< [rows, columns]
};

void peer_reduce_cuda(const peer_reduce_call& call, cuda_stream stream);

/// Rows of logits from the ranks' parts of the vocabulary: rank r holds columns [r * padded, (r + 1) * padded) as far
/// as there are so many. `part` is this rank's, without gaps.
struct logits_gather_call {
  const float* part = nullptr;
  std::size_t rows = 0;
  std::size_t vocabulary = 0;
  std::size_t padded = 0;
  float* logits = nullptr;  ///< [rows, vocabulary]
};

/// Each rank gets all parts through the channel, which must hold rows * padded values.
void gather_logits_cuda(const peer_exchange& exchange, const logits_gather_call& call, cuda_stream stream);

/// The same when the parts of `size` ranks already lie behind each other, `stride` elements apart, at `call.part`.
void place_logits_cuda(std::size_t size, std::size_t stride, const logits_gather_call& call, cuda_stream stream);

}  // namespace troupe
