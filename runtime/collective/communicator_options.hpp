// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "runtime/progress_counter.hpp"

namespace troupe {

enum class communicator_kind {
  local,          ///< threads of one process
  shared_memory,  ///< processes (or threads) of one host
  gloo,           ///< processes on several hosts, over TCP
};

/// How one rank joins one group. Everything but `rank` and `address` must be equal on all ranks.
struct communicator_options {
  communicator_kind kind = communicator_kind::local;

  /// Names the group. Unique on the host among groups that exist at the same time, so it should hold the cluster, the
  /// group, the epoch and the part, as in "demo/g0/7/tensor0". Letters, digits and `/ . _ -`, at most 200.
  std::string name{};
  int rank = 0;
  int size = 1;

  /// Longest that one call may take.
  std::chrono::milliseconds deadline{30'000};
  /// Longest that a rank waits for all others to join.
  std::chrono::milliseconds join_deadline{60'000};

  /// Advanced while a call waits in a loop of ours, so that a healthy wait is told from a thread that stands still.
  /// Gloo waits in its own loop. May be null.
  std::shared_ptr<progress_counter> progress{};

  /// How far a sender may run ahead of each receiver.
  std::size_t send_ahead_bytes = std::size_t{16} << 20;

  /// Gloo only: the IP address of this host that the peers connect to.
  std::string address = "127.0.0.1";
};

}  // namespace troupe
