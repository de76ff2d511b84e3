// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/world/network.hpp"

namespace troupe::simulation {

inline constexpr std::uint32_t block_tokens = 4;
inline constexpr std::uint32_t batch_tokens_max = 64;
inline constexpr std::uint32_t sequences_max = 8;

/// The first token of a poison prompt is one of the last of the vocabulary; no other prompt begins with one of these.
inline constexpr std::uint64_t poison_markers = 64;

enum class mode : std::uint8_t { one, several, spares };

/// Everything that is drawn for one seed. Each field has a name and a number, so that a run can be written down and
/// played again: `--set faults.kill=0`.
struct trial_options {
  std::uint64_t seed = 0;
  simulation::mode mode = mode::one;

  // Shape.
  std::uint64_t nodes = 1;
  std::uint64_t groups = 1;
  std::uint64_t tensor = 1;
  std::uint64_t pipeline = 1;
  std::uint64_t spares = 0;
  std::uint64_t blocks = 64;
  std::uint64_t vocabulary = 1U << 20U;
  std::uint64_t queue = 16;  ///< requests that wait in a group
  std::uint64_t max_wait_ms = 0;
  std::uint64_t shrink = 0;  ///< groups may take a smaller shape

  // Network and schedule.
  std::uint64_t delay_us = 100;
  std::uint64_t jitter_us = 300;
  std::uint64_t spikes = 0;  ///< of 1000 messages
  std::uint64_t spike_ms = 50;
  std::uint64_t reorder = 0;
  std::uint64_t overtaking = 0;  ///< of 1000 scheduler decisions, how many let time pass before messages are handled
  std::uint64_t step_us = 3000;  ///< time of an engine's step

  // Workload.
  std::uint64_t clients = 1;
  std::uint64_t requests = 4;
  std::uint64_t prompt_max = 24;
  std::uint64_t tokens_max = 40;
  std::uint64_t credit_max = 32;
  std::uint64_t cancels = 0;       ///< of 100 requests
  std::uint64_t slow_clients = 0;  ///< of 100 requests

  // Faults: how many of each class are drawn over the first phase; 0 switches the class off.
  std::uint64_t busy_ms = 4000;  ///< length of the first phase
  std::uint64_t kill_rank = 0;
  std::uint64_t kill_node = 0;
  std::uint64_t kill_client = 0;
  std::uint64_t kill_actor = 0;
  std::uint64_t freeze = 0;
  std::uint64_t cut = 0;
  std::uint64_t one_way = 0;
  std::uint64_t flap = 0;
  std::uint64_t reset = 0;
  std::uint64_t hang = 0;
  std::uint64_t engine_failure = 0;
  std::uint64_t slow_engine = 0;
  std::uint64_t duplicate = 0;  ///< of 1000 repeated announcements
  std::uint64_t disk_full = 0;
  std::uint64_t kill_topology = 0;  ///< half of them right after it has ended an epoch
  std::uint64_t poison = 0;         ///< requests that crash the engine that computes them

  std::uint64_t cut_ms = 0;  ///< the first phase ends here, with all that would come later; 0: it is not cut

  /// Injected faults that are left out, by their number; for the last step of shrinking.
  std::vector<std::uint64_t> without;

  network_options links() const;
  std::uint64_t busy() const { return cut_ms == 0 ? busy_ms : std::min(cut_ms, busy_ms); }
};

/// Draws the options of a seed: which classes of faults there are, how many of each, how much work.
trial_options draw_options(std::uint64_t seed, mode which);

/// `name=value` of everything that is not zero, for replay with --set.
std::string to_string(const trial_options& options);
/// Takes "name=value name=value"; throws std::invalid_argument naming what is unknown.
void set_fields(trial_options& options, std::string_view text);

/// Every numeric field by name.
void for_each_field(trial_options& options, const std::function<void(std::string_view, std::uint64_t&)>& visit);
/// The fault classes by name.
void for_each_fault(trial_options& options, const std::function<void(std::string_view, std::uint64_t&)>& visit);

std::string to_string(mode x);

}  // namespace troupe::simulation
