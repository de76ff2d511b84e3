// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/stream.hpp"
#include "kernels/dtype.hpp"

namespace troupe {

/// Ranks of one group exchanging what lies on their devices: communicator's sibling for memory that the host does not
/// wait for. Every call puts work on a stream, in the same order on all ranks, and may be captured into a graph once
/// the same call has run; a rank that is missing shows as a stream that does not come to its end, so whoever waits for
/// the stream needs a deadline. One thread calls.
class device_communicator {
 public:
  device_communicator() = default;
  device_communicator(const device_communicator&) = delete;
  device_communicator& operator=(const device_communicator&) = delete;
  /// Ends what is under way, whatever the other ranks do. Graphs that captured a call must be gone.
  virtual ~device_communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Element-wise sum over the ranks, in place, with the same bits on every rank.
  virtual void all_reduce_sum(float* values, std::size_t count, cuda_stream stream) = 0;
  virtual void all_reduce_sum(bf16* values, std::size_t count, cuda_stream stream) = 0;

  /// `all` is size() times `mine`, in rank order.
  virtual void all_gather(const float* mine, float* all, std::size_t count, cuda_stream stream) = 0;

  /// Point to point, in order.
  virtual void send(const float* values, std::size_t count, int peer, cuda_stream stream) = 0;
  virtual void receive(float* values, std::size_t count, int peer, cuda_stream stream) = 0;

  /// Throws collective_error when the library has noticed that the group is broken. It may not notice.
  virtual void check() const = 0;
};

}  // namespace troupe
