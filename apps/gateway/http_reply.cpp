// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/http_reply.hpp"

#include <boost/beast/http/status.hpp>
#include <fmt/format.h>

namespace troupe {

namespace {

std::string format_start(int status, const reply_style& style, std::string_view type) {
  const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  auto out =
      fmt::format("HTTP/1.1 {} {}\r\nServer: troupe\r\nContent-Type: {}\r\nConnection: {}\r\n", status,
                  std::string_view(reason.data(), reason.size()), type, style.keep_alive ? "keep-alive" : "close");
  if (!style.request_id.empty()) out += fmt::format("X-Request-Id: {}\r\n", style.request_id);
  if (!style.key.empty()) out += fmt::format("Troupe-Request-Key: {}\r\n", style.key);
  if (!style.contract.empty()) out += fmt::format("Troupe-Contract: {}\r\n", style.contract);
  return out;
}

}  // namespace

std::string format_http_reply(int status, std::string_view body, const reply_style& style, std::string_view extra) {
  return fmt::format("{}Content-Length: {}\r\n{}\r\n{}", format_start(status, style, style.content_type), body.size(),
                     extra, style.head_only ? std::string_view{} : body);
}

std::string format_http_error(const api_error& error, const reply_style& style) {
  const auto status = describe_error(error.code);
  std::string extra;
  const auto wait_s = error.retry_after_s != 0 ? error.retry_after_s : status.retry_after_s;
  if (wait_s != 0) extra += fmt::format("Retry-After: {}\r\n", wait_s);
  if (status.status == 401) extra += "WWW-Authenticate: Bearer\r\n";
  if (status.status == 405) extra += "Allow: GET, HEAD, POST\r\n";
  return format_http_reply(status.status, to_json(error), style, extra);
}

std::string format_stream_header(const reply_style& style) {
  return format_start(200, style, "text/event-stream") + "Cache-Control: no-cache\r\n" +
         (style.chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

std::string format_stream_piece(std::string_view data, const reply_style& style) {
  if (!style.chunked) return std::string(data);
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

std::string format_stream_end(const reply_style& style) { return style.chunked ? "0\r\n\r\n" : ""; }

}  // namespace troupe
