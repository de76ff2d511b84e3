// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "tests/simulation/trial/observer.hpp"
#include "tests/simulation/trial/trial_options.hpp"

namespace troupe::simulation {

/// What one seed gave.
struct trial_result {
  std::optional<violation> broken;
  probe_counts probes;
  std::uint64_t trace_hash = 0;
  std::uint64_t messages = 0;
  std::uint64_t frames = 0;
  std::uint64_t requests = 0;
  std::uint64_t tokens = 0;
  std::uint64_t faults = 0;
  double simulated_seconds = 0;
  std::deque<std::string> notes;  ///< what happened, where it was asked for
};

/// Runs one seed: first faults and requests, then, with everything mended, up to 60 simulated seconds in which all that
/// was accepted must end. Equal options give an equal result.
trial_result run_trial(const trial_options& options, bool tracing);

}  // namespace troupe::simulation
