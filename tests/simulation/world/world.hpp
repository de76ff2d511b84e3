// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/world/network.hpp"
#include "tests/simulation/world/process.hpp"
#include "tests/simulation/world/timeline.hpp"

namespace troupe::simulation {

/// Processes, the network between them and the time they share, all on one thread. A seed decides who acts next; time
/// moves only when nobody has anything left to do at this instant, or when the seed lets it overtake them.
class world {
 public:
  world(std::uint64_t seed, network_options links, double overtaking);
  ~world() { end(); }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  timeline& time() { return time_; }
  network& wires() { return wires_; }
  instant now() const { return time_.now(); }

  process& start(std::string name, std::string host);
  /// Ends a process at once; not from inside one of its own actors.
  void kill(process& which);
  /// Ends all processes and forgets what was to happen.
  void end();
  /// Nothing runs in the process for so long, while time goes on for everybody.
  void freeze(process& which, span length);

  /// One message handled, or time moved to what is due next. False when nothing will ever happen again.
  bool step();
  void run_until(instant end);

  const std::vector<std::unique_ptr<process>>& processes() const { return processes_; }
  std::uint64_t messages() const { return messages_; }
  /// Equal for equal runs.
  std::uint64_t trace_hash() const { return hash_; }
  void mix(std::uint64_t value);

  /// Called after every message, outside all actors.
  std::function<void()> after_message;

 private:
  void move_time(instant to);
  instant next_due() const;

  timeline time_;
  random_stream schedule_;
  network wires_;
  double overtaking_;
  std::vector<std::unique_ptr<process>> processes_;
  std::vector<process*> live_;
  std::uint64_t messages_ = 0;
  std::uint64_t hash_ = 0x243f6a8885a308d3U;
};

}  // namespace troupe::simulation
