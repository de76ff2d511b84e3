// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "apps/gateway/asio.hpp"

namespace troupe {

/// A blocking HTTP client of 127.0.0.1 for tests. No read waits longer than 100 s; then it throws.
class http_client {
 public:
  using response = boost::beast::http::response<boost::beast::http::string_body>;

  /// `receive_bytes` bounds what the system holds for a client that does not read; 0: the system's choice.
  explicit http_client(std::uint16_t port, int receive_bytes = 0);

  void send(const std::string& raw);
  void post(const std::string& target, const std::string& body, const std::string& more_fields = {});
  void get(const std::string& target, const std::string& more_fields = {});
  /// Reads one whole response, chunked or not.
  response read(bool to_head = false);
  /// Reads until `needle` came, and returns all that came so far on this connection and was not read as a response.
  std::string read_until(const std::string& needle);
  /// True when the server closed the connection and nothing more came.
  bool at_end();
  void half_close();
  void close();

 private:
  void wait_readable();

  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
};

/// The data of each event of a stream's body; throws when the framing is wrong.
std::vector<std::string> sse_events(const std::string& body);

}  // namespace troupe
