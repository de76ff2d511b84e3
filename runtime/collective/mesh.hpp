// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace troupe {

/// One message under way. Its memory must stay until it is finished or destroyed.
class transfer {
 public:
  transfer() = default;
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;
  virtual ~transfer() = default;

  /// Waits until it is done; false after `interrupt`. Throws std::exception when the peer is lost or the time is up.
  virtual bool wait(std::chrono::milliseconds timeout) = 0;
  /// Ends a wait, from another thread.
  virtual void interrupt() noexcept = 0;
};

/// Connections between each two ranks of a group that share no memory. A receive gets the message that was sent with
/// the same slot, whatever the order. Throws std::exception when the peer is lost.
class mesh {
 public:
  mesh() = default;
  mesh(const mesh&) = delete;
  mesh& operator=(const mesh&) = delete;
  virtual ~mesh() = default;

  virtual std::unique_ptr<transfer> send(std::span<const std::byte> bytes, int peer, std::uint64_t slot) = 0;
  virtual std::unique_ptr<transfer> receive(std::span<std::byte> bytes, int peer, std::uint64_t slot) = 0;
  /// Cuts all connections, so that the peers notice; from any thread.
  virtual void close() noexcept = 0;
};

}  // namespace troupe
