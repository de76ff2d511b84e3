// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "apps/gateway/api_keys.hpp"

namespace troupe {

/// What a stranger may take of the gateway. Past each bound the client gets an error that names it.
struct gateway_limits {
  std::size_t body_bytes = 8 << 20;
  std::uint32_t header_bytes = 16 << 10;
  std::size_t header_fields = 64;
  std::chrono::milliseconds header_time{5'000};     ///< from a request's first byte to the end of its header
  std::chrono::milliseconds body_time{30'000};      ///< from there to the end of its body
  std::chrono::milliseconds idle_time{60'000};      ///< between requests; the connection is then closed
  std::chrono::milliseconds stall_time{30'000};     ///< a client that takes no bytes for so long is cut off
  std::chrono::milliseconds request_time{600'000};  ///< from the end of the body to the last byte of the answer
  std::size_t connections = 1024;
  std::size_t connections_per_address = 64;
  bool limit_loopback = false;  ///< per_address holds for this machine too, where a proxy or a benchmark may run
  std::size_t answer_bytes = 16 << 20;  ///< of an answer that is not streamed
  std::uint32_t event_credit = 32;      ///< events of one choice that may wait for the client
  int send_buffer_bytes = 128 << 10;    ///< of the socket; the system's own guess can be megabytes
};

struct gateway_options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: a free one
  api_keys keys;           ///< empty: nobody is asked
  gateway_limits limits;
  /// Called on the I/O thread with one line an event, `name key=value ...`; never with a prompt. May be empty.
  std::function<void(const std::string&)> log;
};

}  // namespace troupe
