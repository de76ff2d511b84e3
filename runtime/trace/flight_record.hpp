// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/trace/flight_format.hpp"
#include "runtime/trace/trace_event.hpp"

namespace troupe {

/// What one process noted, oldest first.
struct flight_record {
  flight_identity identity;
  std::vector<std::string> names;  ///< of groups, by the number events use
  std::vector<trace_event> events;
  std::uint64_t lost = 0;  ///< events that newer ones have replaced
  std::string problem;     ///< what was wrong with the bytes, in a sentence; what could be read is here all the same
};

/// Reads a flight record whatever the bytes are: a function of them alone, that takes memory in proportion to them.
flight_record parse_flight_record(std::span<const std::byte> bytes);

}  // namespace troupe
