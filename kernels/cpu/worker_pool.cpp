// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/worker_pool.hpp"

#include <cassert>

namespace troupe {

namespace {

constexpr std::uint64_t closed = 0xffffffffU;
/// About 50 microseconds: longer than the serial pieces of a decode step, shorter than a scheduling quantum.
constexpr int spins_before_sleep = 1000;

constexpr std::uint64_t loop_of(std::uint64_t ticket) { return ticket >> 32; }
constexpr std::uint64_t item_of(std::uint64_t ticket) { return ticket & closed; }

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

template <class T>
void wait_while_equal(const std::atomic<T>& value, T old) {
  for (int i = 0; i < spins_before_sleep; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

worker_pool::worker_pool(std::size_t threads) : ticket_(closed) {
  assert(threads >= 1);
  workers_.reserve(threads - 1);
  for (std::size_t i = 1; i < threads; ++i)
    workers_.emplace_back([this] { worker_main(); });
}

worker_pool::~worker_pool() {
  stopping_.store(true);
  ticket_.store(((loop_of(ticket_.load()) + 1) << 32) | closed);
  ticket_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

void worker_pool::run_erased(std::size_t items, item_function function, void* context) {
  assert(items < closed);
  if (items == 0) return;
  if (workers_.empty() || items == 1) {
    for (std::size_t i = 0; i < items; ++i)
      function(context, i);
    return;
  }
  const auto loop = (loop_of(ticket_.load(std::memory_order_relaxed)) + 1) & closed;
  ticket_.store((loop << 32) | closed);  // late threads of the last loop now fail to claim
  // Release: whoever reads one of these also sees the ticket closed.
  function_.store(function, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  items_.store(static_cast<std::uint32_t>(items), std::memory_order_release);
  done_.store(0, std::memory_order_release);
  ticket_.store(loop << 32);
  ticket_.notify_all();
  work();
  for (auto done = done_.load(std::memory_order_acquire); done != items; done = done_.load(std::memory_order_acquire))
    wait_while_equal(done_, done);
}

void worker_pool::work() {
  auto ticket = ticket_.load();
  while (item_of(ticket) != closed) {
    const auto function = function_.load();
    auto* const context = context_.load();
    const auto items = items_.load();
    const auto item = item_of(ticket);
    if (item >= items) return;
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
    function(context, item);
    // The last item of a loop may let the owner destroy the loop's data, so nothing of it is touched from here on.
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == items) done_.notify_one();
    ticket = ticket_.load();
  }
}

void worker_pool::worker_main() {
  while (true) {
    work();
    const auto now = ticket_.load();
    if (stopping_.load()) return;  // read after the ticket, which the destructor changes last
    if (item_of(now) == closed || item_of(now) >= items_.load()) wait_while_equal(ticket_, now);
  }
}

}  // namespace troupe
