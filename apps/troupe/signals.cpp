// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/signals.hpp"

#include <csignal>
#include <ctime>

namespace troupe {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void block_stop_signals() {
  auto set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool wait_for_stop_signal(const std::function<bool()>& ended) {
  auto set = stop_signals();
  constexpr timespec pause{0, 50'000'000};
  while (!ended())
    if (sigtimedwait(&set, nullptr, &pause) > 0) return true;
  return false;
}

}  // namespace troupe
