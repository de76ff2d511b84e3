// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace troupe {

/// Notices a rank that has become slow: its last `run_length` steps each took over `factor` times the median of the
/// steps before them. It says so once, and again only after it was of usual speed.
class straggler_watch {
 public:
  static constexpr std::size_t run_length = 20;
  static constexpr std::uint64_t factor = 3;

  struct finding {
    std::uint64_t median_us = 0;  ///< of the usual steps
    std::uint64_t latest_us = 0;
  };

  std::optional<finding> add(std::uint64_t step_us);

 private:
  std::uint64_t median() const;

  static constexpr std::size_t window = 64;
  std::array<std::uint64_t, window> usual_{};  ///< the last steps of usual duration
  std::size_t count_ = 0;                      ///< of usual steps ever
  std::size_t slow_ = 0;                       ///< steps in a row
};

}  // namespace troupe
