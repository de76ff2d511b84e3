// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/asio.hpp"
#include "apps/gateway/connection.hpp"
#include "apps/gateway/gateway_options.hpp"

namespace troupe {

using http_header = boost::beast::http::request_header<>;
using http_request = boost::beast::http::request<boost::beast::http::string_body>;

/// The client left, or stayed silent for the idle time; there is nobody to answer.
struct http_silence {};

using http_read = std::variant<http_request, api_error, http_silence>;

/// Looks at a header before the body is read; an error spares the reading.
using http_header_check = std::function<std::optional<api_error>(const http_header&)>;

/// Reads one request within the limits. Its first byte must be in the connection's input already. After an error the
/// rest of the request was not read, so the connection can only be closed.
boost::asio::awaitable<http_read> read_http_request(connection& client, const gateway_limits& limits,
                                                    http_header_check check);

}  // namespace troupe
