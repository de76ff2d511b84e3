// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/gateway.hpp"

#include <future>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "apps/gateway/asio.hpp"
#include "apps/gateway/listener.hpp"

namespace troupe {

namespace {

/// How long the destructor waits for cancelled requests to unwind.
constexpr std::chrono::seconds abort_time{5};

}  // namespace

struct gateway::state {
  state(gateway_options given, completion_service& service)
      : options(std::move(given)),
        meters(options.keys.limits().begin(), options.keys.limits().end()),
        accepting(context, options, service, meters),
        drained_future(drained.get_future()) {}

  void run() {
    while (true) {
      try {
        context.run();
        return;
      } catch (const std::exception& error) {
        // A handler ran out of memory; the connection it belonged to is lost and the others go on.
        if (options.log) options.log(fmt::format("http-failed reason=\"{}\"", error.what()));
      }
    }
  }

  const gateway_options options;
  std::vector<key_meter> meters;  ///< one for each key; belongs to the I/O thread, and outlives what runs there
  boost::asio::io_context context{1};
  listener accepting;
  bool draining = false;  ///< belongs to the I/O thread
  std::promise<void> drained;
  std::future<void> drained_future;
  std::thread thread;
};

gateway::gateway(gateway_options options, completion_service& service)
    : state_(std::make_unique<state>(std::move(options), service)) {
  state_->accepting.start();
  state_->thread = std::thread([this] { state_->run(); });
}

gateway::~gateway() {
  drain();
  boost::asio::post(state_->context, [this] { state_->accepting.abort(); });
  wait_drained(abort_time);
  state_->context.stop();
  state_->thread.join();
}

std::uint16_t gateway::port() const { return state_->accepting.port(); }

void gateway::drain() {
  boost::asio::post(state_->context, [this] {
    if (std::exchange(state_->draining, true)) return;
    state_->accepting.drain([this] { state_->drained.set_value(); });
  });
}

bool gateway::wait_drained(std::chrono::milliseconds time) {
  return state_->drained_future.wait_for(time) == std::future_status::ready;
}

}  // namespace troupe
