// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/answer_progress.hpp"
#include "runtime/generation.hpp"

namespace troupe {

/// What waits for one client. Pieces are given out one per credit; without credit they are merged into one, so that a
/// slow reader costs no more memory than its own answer.
class answer_stream {
 public:
  /// What lies before `had` is not given.
  explicit answer_stream(std::uint32_t credit, answer_progress had = {}) : credit_(credit), given_(had) {}

  /// Pieces follow on each other from the answer's beginning.
  void add(answer_event piece);
  void grant(std::uint32_t answers);

  /// The next piece to send, when there is one and credit for it. Costs one credit.
  std::optional<answer_event> take();

  /// Something waits and there is no credit for it.
  bool stalled() const { return pending_.has_value() && credit_ == 0; }

  /// The last piece has been taken.
  bool finished() const { return finished_; }

 private:
  static constexpr std::uint32_t credit_max = 1U << 20U;

  std::uint32_t credit_;
  answer_progress given_;  ///< with what waits
  std::optional<answer_event> pending_;
  bool finished_ = false;
};

}  // namespace troupe
