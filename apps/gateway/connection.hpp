// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "apps/gateway/asio.hpp"
#include "apps/gateway/gateway_options.hpp"

namespace troupe {

/// The bytes of one client and the one place where its coroutine waits. Whatever happens — bytes came, bytes went, the
/// peer left, a service called back — wakes that wait; the coroutine then looks at what it waits for.
/// A read is always pending while it waits, so a client that leaves is noticed at once.
/// Everything but `notifier`'s function belongs to the I/O thread.
class connection : public std::enable_shared_from_this<connection> {
 public:
  using clock = std::chrono::steady_clock;
  using tcp = boost::asio::ip::tcp;

  connection(tcp::socket socket, const gateway_limits& limits);

  /// Wakes the coroutine; may be called from any thread and after the connection is gone.
  std::function<void()> notifier();
  void wake();

  /// Waits until something happened (true) or until `deadline` (false).
  boost::asio::awaitable<bool> wait(clock::time_point deadline);

  /// What came and was not consumed. A peer that sends more than 64 KiB that nobody consumes counts as gone.
  std::string& input() { return input_; }
  /// The peer closed its side, or the connection broke. Bytes that came before may still be in `input`.
  bool peer_gone() const { return peer_gone_; }

  void send(std::string_view bytes) { outbox_ += bytes; }
  /// Writes all that was sent. False when the connection broke or the client took nothing for the stall time.
  boost::asio::awaitable<bool> flush();
  bool stalled() const { return stalled_; }

  /// Ends our side and waits briefly for the peer's, so that what was written is not lost to a reset.
  boost::asio::awaitable<void> linger();
  void close();

 private:
  void start_reading();
  void start_writing();

  tcp::socket socket_;
  const gateway_limits& limits_;
  boost::asio::steady_timer signal_;
  std::array<char, 8192> chunk_{};
  std::string input_;
  std::string outbox_;
  std::string sending_;
  bool woken_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool peer_gone_ = false;
  bool broken_ = false;
  bool stalled_ = false;
};

}  // namespace troupe
