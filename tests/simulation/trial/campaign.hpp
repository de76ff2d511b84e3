// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/trial/probes.hpp"
#include "tests/simulation/trial/trial_options.hpp"

namespace troupe::simulation {

struct campaign_options {
  std::uint64_t base = 1;
  std::uint64_t seeds = 1000;  ///< of each mode
  std::vector<mode> modes{mode::one};
  std::string set;  ///< fields that are the same in every run
  unsigned jobs = 2;
  std::uint64_t failures_max = 20;  ///< after so many the campaign ends
};

struct failed_seed {
  simulation::mode mode = mode::one;
  std::uint64_t seed = 0;
  std::string invariant;
  std::string sentence;
};

struct campaign_result {
  std::uint64_t seeds = 0;
  std::uint64_t twice = 0;            ///< run twice, with equal traces unless a failure says otherwise
  std::vector<failed_seed> failures;  ///< by seed
  probe_counts probes;
  std::map<std::string, std::uint64_t> sums;  ///< messages, frames, requests, tokens, faults, simulated milliseconds
  double seconds = 0;
};

/// The options of a seed of this campaign.
trial_options options_of(const campaign_options& campaign, mode which, std::uint64_t seed);

/// Runs all seeds in forked workers; a seed that crashes or hangs is a failed one, and the others go on.
campaign_result run_campaign(const campaign_options& options);

/// Runs one seed in a process of its own; the invariant it breaks, and how. Empty when all is well.
failed_seed run_apart(const trial_options& options);

}  // namespace troupe::simulation
