// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/scheduler/flight.hpp"
#include "runtime/scheduler/sequence.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// A step plan in the making, and the flight that will expect its result. Feeding a sequence moves its counters.
class plan_draft {
 public:
  plan_draft(troupe::epoch in, std::uint64_t step, std::uint32_t token_budget);

  /// Tells the ranks of a sequence and the blocks it found written.
  void start(sequence& admitted);

  /// The next `tokens` tokens of the sequence; samples when they are the last ones.
  void feed(sequence& fed, std::uint32_t tokens);

  std::uint32_t tokens_left() const { return tokens_left_; }
  bool empty() const { return plan_.entries.empty(); }

  step_plan& plan() { return plan_; }
  troupe::flight& flight() { return flight_; }

 private:
  step_plan plan_;
  troupe::flight flight_;
  std::uint32_t tokens_left_;
};

}  // namespace troupe
