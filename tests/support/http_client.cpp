// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_client.hpp"

#include <stdexcept>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <poll.h>

namespace troupe {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

}  // namespace

http_client::http_client(std::uint16_t port, int receive_bytes) : socket_(context_) {
  socket_.open(tcp::v4());
  if (receive_bytes != 0) socket_.set_option(tcp::socket::receive_buffer_size(receive_bytes));
  socket_.connect({asio::ip::address_v4::loopback(), port});
}

void http_client::send(const std::string& raw) { asio::write(socket_, asio::buffer(raw)); }

void http_client::post(const std::string& target, const std::string& body, const std::string& more_fields) {
  send("POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: " +
       std::to_string(body.size()) + "\r\n" + more_fields + "\r\n" + body);
}

void http_client::get(const std::string& target, const std::string& more_fields) {
  send("GET " + target + " HTTP/1.1\r\nHost: test\r\n" + more_fields + "\r\n");
}

http_client::response http_client::read(bool to_head) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::uint64_t{1} << 30);
  parser.header_limit(64 << 10);
  parser.skip(to_head);
  parser.eager(true);
  while (!parser.is_done()) {
    boost::system::error_code failure;
    if (buffer_.size() != 0) buffer_.consume(parser.put(buffer_.data(), failure));
    if (failure && failure != http::error::need_more) throw boost::system::system_error(failure);
    if (parser.is_done()) break;
    wait_readable();
    buffer_.commit(socket_.read_some(buffer_.prepare(65536), failure));
    if (failure == asio::error::eof) parser.put_eof(failure);
    if (failure) throw boost::system::system_error(failure);
  }
  return parser.release();
}

std::string http_client::read_until(const std::string& needle) {
  while (true) {
    auto text = boost::beast::buffers_to_string(buffer_.data());
    if (text.find(needle) != std::string::npos) return text;
    wait_readable();
    buffer_.commit(socket_.read_some(buffer_.prepare(4096)));
  }
}

void http_client::wait_readable() {
  pollfd one{socket_.native_handle(), POLLIN, 0};
  if (poll(&one, 1, 100'000) != 1) throw std::runtime_error("the server sent nothing for 100 s");
}

bool http_client::at_end() {
  wait_readable();
  char byte = 0;
  boost::system::error_code failure;
  socket_.read_some(asio::buffer(&byte, 1), failure);
  return buffer_.size() == 0 && (failure == asio::error::eof || failure == asio::error::connection_reset);
}

void http_client::half_close() { socket_.shutdown(tcp::socket::shutdown_send); }

void http_client::close() { socket_.close(); }

std::vector<std::string> sse_events(const std::string& body) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < body.size()) {
    if (body.compare(at, 4, "id: ") == 0) at = body.find('\n', at) + 1;
    const auto end = body.find("\n\n", at);
    if (end == std::string::npos || body.compare(at, 6, "data: ") != 0)
      throw std::runtime_error("no server-sent event: " + body.substr(at));
    out.push_back(body.substr(at + 6, end - at - 6));
    at = end + 2;
  }
  return out;
}

}  // namespace troupe
