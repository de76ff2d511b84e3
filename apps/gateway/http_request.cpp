// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/http_request.hpp"

#include <algorithm>
#include <iterator>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <fmt/format.h>

namespace troupe {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using request_parser = http::request_parser<http::string_body>;

api_error describe_parse_error(const error_code& failure, const gateway_limits& limits) {
  if (failure == http::error::header_limit)
    return {"header_too_large",
            fmt::format("the header is larger than {} bytes; send a smaller one", limits.header_bytes), ""};
  if (failure == http::error::body_limit)
    return {"body_too_large", fmt::format("the body is larger than {} bytes; send a smaller one", limits.body_bytes),
            ""};
  return {"invalid_http", fmt::format("the request is no valid HTTP/1.1: {}", failure.message()), ""};
}

/// Feeds the parser what came, and waits for more until `done` says so. An empty result means that it is done.
template <class Done>
asio::awaitable<std::optional<http_read>> parse_until(connection& client, request_parser& parser,
                                                      const gateway_limits& limits,
                                                      connection::clock::time_point deadline, api_error late,
                                                      Done done) {
  std::size_t header_bytes = 0;
  while (true) {
    error_code failure;
    while (!client.input().empty() && !done(parser) && !failure) {
      const bool in_header = !parser.is_header_done();
      const auto used = parser.put(asio::buffer(client.input()), failure);
      client.input().erase(0, used);
      if (in_header) header_bytes += used;
    }
    if (failure && failure != http::error::need_more) co_return http_read{describe_parse_error(failure, limits)};
    // The parser bounds a line of the header, and not the sum of those it has consumed.
    if (header_bytes + (parser.is_header_done() ? 0 : client.input().size()) > limits.header_bytes)
      co_return http_read{describe_parse_error(http::error::header_limit, limits)};
    if (done(parser)) co_return std::nullopt;
    if (client.peer_gone()) co_return http_read{http_silence{}};
    co_await client.wait(deadline);
    if (connection::clock::now() >= deadline) co_return http_read{std::move(late)};
  }
}

std::optional<api_error> check_field_count(const http_header& header, const gateway_limits& limits) {
  const auto fields = static_cast<std::size_t>(std::distance(header.begin(), header.end()));
  if (fields <= limits.header_fields) return std::nullopt;
  return api_error{"header_too_large",
                   fmt::format("the header has {} fields and may have at most {}", fields, limits.header_fields), ""};
}

std::string format_late(const char* part, std::chrono::milliseconds time) {
  return fmt::format("the {} did not come within {} ms; send it faster", part, time.count());
}

}  // namespace

asio::awaitable<http_read> read_http_request(connection& client, const gateway_limits& limits,
                                             http_header_check check) {
  request_parser parser;
  parser.header_limit(limits.header_bytes);
  parser.body_limit(limits.body_bytes);
  const api_error late_header{"request_timeout", format_late("header", limits.header_time), ""};
  auto ended = co_await parse_until(client, parser, limits, connection::clock::now() + limits.header_time, late_header,
                                    [](const request_parser& x) { return x.is_header_done(); });
  if (ended) co_return std::move(*ended);
  if (auto error = check_field_count(parser.get(), limits)) co_return std::move(*error);
  if (auto error = check(parser.get())) co_return std::move(*error);
  if (!parser.is_done() && boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    client.send("HTTP/1.1 100 Continue\r\n\r\n");
    const bool sent = co_await client.flush();
    if (!sent) co_return http_silence{};
  }
  parser.eager(true);
  const api_error late_body{"request_timeout", format_late("body", limits.body_time), ""};
  ended = co_await parse_until(client, parser, limits, connection::clock::now() + limits.body_time, late_body,
                               [](const request_parser& x) { return x.is_done(); });
  if (ended) co_return std::move(*ended);
  co_return parser.release();
}

}  // namespace troupe
