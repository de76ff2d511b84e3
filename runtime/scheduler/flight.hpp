// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "runtime/scheduler/sequence.hpp"
#include "runtime/step_plan.hpp"

namespace troupe {

/// A result that belongs to no plan in flight, or not to the oldest one, or does not answer what the plan asked.
/// The scheduler is as it was before the call.
class result_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a plan in flight does to one sequence.
struct flight_share {
  sequence* fed = nullptr;  ///< alive at least until the flight is completed
  std::uint32_t position = 0;
  std::uint32_t tokens = 0;
  bool sample = false;

  std::uint32_t end() const { return position + tokens; }
};

/// A plan whose result is not known.
struct flight {
  troupe::epoch epoch;
  std::uint64_t step = 0;
  std::vector<flight_share> shares;  ///< in the order of the plan's entries
};

/// Throws result_error where `result` is not what this flight must bring.
void check_result(const flight& expected, const step_result& result);

}  // namespace troupe
