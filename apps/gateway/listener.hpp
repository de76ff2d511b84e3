// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/gateway/asio.hpp"
#include "apps/gateway/completion_service.hpp"
#include "apps/gateway/gateway_options.hpp"
#include "apps/gateway/session.hpp"

namespace troupe {

/// Accepts connections within the limits and knows the sessions that run. Belongs to the I/O thread.
class listener {
 public:
  /// Binds and listens. Throws std::runtime_error that names the address. `meters`: one for each key of the options.
  listener(boost::asio::io_context& context, const gateway_options& options, completion_service& service,
           std::vector<key_meter>& meters);

  std::uint16_t port() const { return port_; }
  void start();

  /// Accepts no more and lets what runs finish; `done` is called once, when no session is left.
  void drain(std::function<void()> done);
  /// Ends all sessions; what they run is cancelled.
  void abort();

 private:
  using tcp = boost::asio::ip::tcp;

  boost::asio::awaitable<void> accept_all();
  void admit(tcp::socket socket);
  const char* find_refusal(const std::string& address) const;
  void begin_session(tcp::socket socket, const std::string& address);
  void begin_refusal(tcp::socket socket, const char* why);
  void end_session(const std::shared_ptr<session>& ended, const std::string& address);
  void report_if_empty();

  boost::asio::io_context& context_;
  const gateway_options& options_;
  completion_service& service_;
  std::vector<key_meter>& meters_;
  tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::uint16_t port_ = 0;
  std::vector<std::shared_ptr<session>> sessions_;
  std::map<std::string, std::size_t> per_address_;
  std::size_t refusing_ = 0;  ///< connections that are being told that there are too many
  bool draining_ = false;
  std::function<void()> drained_;
};

}  // namespace troupe
