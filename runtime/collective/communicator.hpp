// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>

namespace troupe {

/// A collective that did not come to its end: a peer died, was late, or the communicator was aborted.
/// The communicator is unusable afterwards; the ranks re-form with a new one.
class collective_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ranks of one group exchanging tensors. Every rank calls the same operations in the same order. Each call waits at
/// most the deadline given at construction, then throws collective_error naming the operation and the peer waited for.
/// One thread calls; only abort may come from another.
class communicator {
 public:
  communicator() = default;
  communicator(const communicator&) = delete;
  communicator& operator=(const communicator&) = delete;
  virtual ~communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Element-wise sum over the ranks, added in rank order in float32, so every rank gets the same bits.
  virtual void all_reduce_sum(std::span<float> values) = 0;

  /// `all` is `size()` times `mine`, in rank order.
  virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;

  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;

  /// Point to point, in order, of any size. send may return before the peer receives (a bounded buffer lies between),
  /// so a pipeline stage can run ahead of the next one.
  virtual void send(std::span<const std::byte> bytes, int peer) = 0;
  virtual void receive(std::span<std::byte> bytes, int peer) = 0;

  virtual void barrier() = 0;

  /// Makes every call in progress, here and at the peers where the transport can, and every later one throw.
  virtual void abort() noexcept = 0;
};

}  // namespace troupe
