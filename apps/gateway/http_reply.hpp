// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "apps/gateway/api_error.hpp"

namespace troupe {

/// How answers to one request go out.
struct reply_style {
  bool keep_alive = true;
  bool chunked = true;                                 ///< false for HTTP/1.0: a stream then ends with the connection
  bool head_only = false;                              ///< the method was HEAD
  std::string_view content_type = "application/json";  ///< of a whole answer
  std::string request_id{};                            ///< for the x-request-id field; may be empty
  std::string key{};                                   ///< for the troupe-request-key field; may be empty
  std::string contract{};                              ///< for the troupe-contract field; may be empty
};

/// A whole answer. `extra` is more header lines, each ending in CRLF.
std::string format_http_reply(int status, std::string_view body, const reply_style& style, std::string_view extra = {});

/// The same for an error, with its status and the fields that belong to it.
std::string format_http_error(const api_error& error, const reply_style& style);

/// The header of an answer that is streamed as server-sent events.
std::string format_stream_header(const reply_style& style);
/// One piece of a stream's body.
std::string format_stream_piece(std::string_view data, const reply_style& style);
/// What ends a stream's body.
std::string format_stream_end(const reply_style& style);

}  // namespace troupe
