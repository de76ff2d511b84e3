// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>

namespace troupe {

/// What an injector does to processes and connections; the program gives it. Empty functions: there is no process to
/// do it to, as in tests and with isolation: thread, and the injector does what comes nearest.
struct fault_actions {
  std::function<void()> kill_self;
  std::function<void()> crash_self;
  std::function<void(std::chrono::milliseconds)> freeze_self;
  /// Sends a signal to a child of this process; false when it is none.
  std::function<bool(std::uint64_t process, int signal)> signal_child;
  /// Closes this process's connections to these ports and, at `own_port`, from others. Returns how many.
  std::function<std::size_t(const std::set<std::uint16_t>& peer_ports, std::uint16_t own_port)> cut;
};

}  // namespace troupe
