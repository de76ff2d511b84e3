// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/connection.hpp"

#include <utility>

namespace troupe {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t input_bytes_max = 64 << 10;
constexpr std::chrono::seconds linger_time{2};

}  // namespace

connection::connection(tcp::socket socket, const gateway_limits& limits)
    : socket_(std::move(socket)), limits_(limits), signal_(socket_.get_executor()) {
  // Best effort: without them it is slower or holds more, and works.
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(tcp::socket::send_buffer_size(limits_.send_buffer_bytes), ignored);
}

std::function<void()> connection::notifier() {
  return [executor = socket_.get_executor(), weak = weak_from_this()] {
    asio::post(executor, [weak] {
      if (auto self = weak.lock()) self->wake();
    });
  };
}

void connection::wake() {
  woken_ = true;
  signal_.cancel();
}

asio::awaitable<bool> connection::wait(clock::time_point deadline) {
  start_reading();
  if (!woken_) {
    signal_.expires_at(deadline);
    error_code ignored;
    co_await signal_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::exchange(woken_, false);
}

void connection::start_reading() {
  if (reading_ || peer_gone_) return;
  if (input_.size() >= input_bytes_max) {
    peer_gone_ = true;
    woken_ = true;
    return;
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(chunk_), [self = shared_from_this()](error_code failure, std::size_t size) {
    self->reading_ = false;
    self->input_.append(self->chunk_.data(), size);
    if (failure) self->peer_gone_ = true;
    self->wake();
  });
}

void connection::start_writing() {
  writing_ = true;
  sending_ = std::exchange(outbox_, {});
  asio::async_write(socket_, asio::buffer(sending_), [self = shared_from_this()](error_code failure, std::size_t) {
    self->writing_ = false;
    if (failure) self->broken_ = true;
    self->wake();
  });
}

asio::awaitable<bool> connection::flush() {
  while (!outbox_.empty() && !broken_) {
    start_writing();
    const auto deadline = clock::now() + limits_.stall_time;
    while (writing_) {
      co_await wait(deadline);
      if (writing_ && clock::now() >= deadline) {
        stalled_ = true;
        close();
        co_return false;
      }
    }
  }
  co_return !broken_;
}

asio::awaitable<void> connection::linger() {
  error_code failure;
  socket_.shutdown(tcp::socket::shutdown_send, failure);
  const auto deadline = clock::now() + linger_time;
  while (!failure && !peer_gone_ && clock::now() < deadline) {
    input_.clear();
    co_await wait(deadline);
  }
  close();
}

void connection::close() {
  broken_ = true;
  peer_gone_ = true;
  error_code ignored;
  socket_.close(ignored);
  wake();
}

}  // namespace troupe
