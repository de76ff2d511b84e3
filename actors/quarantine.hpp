// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "topology/membership.hpp"

namespace troupe {

/// What a router remembers of crashes: why epochs ended, and which requests are refused because they crashed a group
/// twice. Bounded; no clock of its own.
class quarantine {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::minutes refusal_time{10};

  /// Takes in the ends of epochs, again and again.
  void learn(const std::vector<epoch_end>& ended);

  /// Why an epoch ended; nothing while that is not known.
  std::optional<loss_cause> verdict(std::uint64_t epoch) const;

  /// The requests that ran in such an epoch may have caused its end.
  static bool accuses(loss_cause cause) { return cause == loss_cause::crashed || cause == loss_cause::hung; }

  void refuse(std::uint64_t fingerprint, time_point now);
  bool refuses(std::uint64_t fingerprint, time_point now) const;

 private:
  static constexpr std::size_t verdicts_max = 1024;
  static constexpr std::size_t refused_max = 4096;

  std::map<std::uint64_t, loss_cause> verdicts_;  ///< by epoch; the oldest goes first
  std::map<std::uint64_t, time_point> refused_;   ///< until when, by fingerprint
};

}  // namespace troupe
