// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/wait_word.hpp"

#include <algorithm>
#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace troupe {

namespace {

// Not the private form: the word may lie in memory shared by processes.
void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* timeout) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, timeout, nullptr, 0);
}

}  // namespace

// Sequentially consistent on both sides: either the sleeper sees the new value or the publisher sees the sleeper.
void wait_word::publish(std::uint32_t new_value) {
  value.store(new_value, std::memory_order_seq_cst);
  if (waiters.load(std::memory_order_seq_cst) != 0) wake();
}

void wait_word::wake() { futex(value, FUTEX_WAKE, INT_MAX, nullptr); }

void wait_word::sleep_while(std::uint32_t seen, std::chrono::nanoseconds timeout) {
  const auto ns = std::max<std::int64_t>(timeout.count(), 0);
  const timespec relative{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  waiters.fetch_add(1, std::memory_order_seq_cst);
  if (value.load(std::memory_order_seq_cst) == seen) futex(value, FUTEX_WAIT, seen, &relative);
  waiters.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace troupe
