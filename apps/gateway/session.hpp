// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gateway/asio.hpp"
#include "apps/gateway/completion_exchange.hpp"
#include "apps/gateway/completion_service.hpp"
#include "apps/gateway/connection.hpp"
#include "apps/gateway/gateway_options.hpp"
#include "apps/gateway/http_reply.hpp"
#include "apps/gateway/http_request.hpp"
#include "apps/gateway/key_meter.hpp"
#include "apps/gateway/openai_request.hpp"

namespace troupe {

/// One client's connection as one coroutine: read a request, handle it, write what comes back, until one side ends.
class session : public std::enable_shared_from_this<session> {
 public:
  /// `meters`: one for each key of the options.
  session(connection::tcp::socket socket, const gateway_options& options, completion_service& service,
          std::vector<key_meter>& meters);

  boost::asio::awaitable<void> run();

  /// Ends after the request that runs, or at once when there is none.
  void drain();
  /// Ends now; what runs is cancelled.
  void abort();

 private:
  boost::asio::awaitable<bool> wait_for_request();
  std::optional<api_error> check_header(const http_header& header);
  boost::asio::awaitable<bool> handle(http_request request);
  boost::asio::awaitable<bool> complete(completion_api api, const http_request& request, reply_style style);
  key_meter* meter_of(const http_request& request);
  std::variant<completion_name, api_error> name_request(const http_request& request) const;
  void reply(int status, const std::string& body, const reply_style& style);
  void reply_error(const api_error& error, const reply_style& style);
  void reply_models(std::string_view name, const reply_style& style);
  void reply_health(bool live, const reply_style& style);
  void log(const std::string& line) const;

  const gateway_options& options_;
  completion_service& service_;
  std::vector<key_meter>& meters_;
  std::shared_ptr<connection> client_;
  bool draining_ = false;
};

}  // namespace troupe
