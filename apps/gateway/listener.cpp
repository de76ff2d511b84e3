// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/listener.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include "apps/gateway/api_error.hpp"
#include "apps/gateway/http_reply.hpp"

namespace troupe {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t refusing_max = 64;
constexpr std::chrono::milliseconds accept_retry{100};

}  // namespace

listener::listener(asio::io_context& context, const gateway_options& options, completion_service& service,
                   std::vector<key_meter>& meters)
    : context_(context), options_(options), service_(service), meters_(meters), acceptor_(context), retry_(context) {
  try {
    tcp::resolver resolver(context);
    const auto found = resolver.resolve(options.address, std::to_string(options.port), tcp::resolver::numeric_service);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    port_ = acceptor_.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error(
        fmt::format("HTTP cannot listen on {}:{} ({}); give another http address, or end what uses it", options.address,
                    options.port, error.code().message()));
  }
}

void listener::start() { asio::co_spawn(context_, accept_all(), asio::detached); }

asio::awaitable<void> listener::accept_all() {
  while (acceptor_.is_open()) {
    error_code failure;
    tcp::socket socket(context_);
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, failure));
    if (!failure) {
      admit(std::move(socket));
    } else if (acceptor_.is_open()) {
      // Out of descriptors or memory: it passes when a session ends, and must not spin until then.
      if (options_.log) options_.log(fmt::format("http-accept-failed reason=\"{}\"", failure.message()));
      retry_.expires_after(accept_retry);
      co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, failure));
    }
  }
}

void listener::admit(tcp::socket socket) {
  error_code failure;
  const auto peer = socket.remote_endpoint(failure);
  if (failure) return;  // it left already
  const bool counted = options_.limits.limit_loopback || !peer.address().is_loopback();
  const auto address = counted ? peer.address().to_string() : std::string();
  if (const auto* why = find_refusal(address))
    begin_refusal(std::move(socket), why);
  else
    begin_session(std::move(socket), address);
}

const char* listener::find_refusal(const std::string& address) const {
  if (sessions_.size() >= options_.limits.connections) return "overloaded";
  const auto at = per_address_.find(address);
  return at != per_address_.end() && at->second >= options_.limits.connections_per_address ? "too_many_connections"
                                                                                           : nullptr;
}

void listener::begin_session(tcp::socket socket, const std::string& address) {
  auto one = std::make_shared<session>(std::move(socket), options_, service_, meters_);
  sessions_.push_back(one);
  if (!address.empty()) ++per_address_[address];
  auto run = [one]() -> asio::awaitable<void> { co_await one->run(); };
  asio::co_spawn(context_, std::move(run), [this, one, address](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      one->abort();
      if (options_.log) options_.log(fmt::format("http-session-failed reason=\"{}\"", error.what()));
    }
    end_session(one, address);
  });
}

void listener::begin_refusal(tcp::socket socket, const char* why) {
  if (options_.log) options_.log(fmt::format("http-refused code={}", why));
  if (refusing_ >= refusing_max) return;
  auto client = std::make_shared<connection>(std::move(socket), options_.limits);
  client->send(format_http_error({why, "there are too many connections; close some, or try again later", ""},
                                 {.keep_alive = false}));
  auto run = [client]() -> asio::awaitable<void> {
    co_await client->flush();
    co_await client->linger();
  };
  ++refusing_;
  asio::co_spawn(context_, std::move(run), [this](std::exception_ptr) { --refusing_; });
}

void listener::end_session(const std::shared_ptr<session>& ended, const std::string& address) {
  sessions_.erase(std::find(sessions_.begin(), sessions_.end(), ended));
  if (const auto at = per_address_.find(address); at != per_address_.end() && --at->second == 0) per_address_.erase(at);
  report_if_empty();
}

void listener::drain(std::function<void()> done) {
  drained_ = std::move(done);
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  for (const auto& one : sessions_)
    one->drain();
  report_if_empty();
}

void listener::abort() {
  for (const auto& one : sessions_)
    one->abort();
}

void listener::report_if_empty() {
  if (draining_ && sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

}  // namespace troupe
