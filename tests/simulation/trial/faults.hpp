// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/trial/cluster.hpp"

namespace troupe::simulation {

/// One fault, with everything about it drawn beforehand: whom it hits is decided by `draw` among those that are there
/// when its time comes.
struct fault {
  std::uint64_t number = 0;
  std::string kind;
  instant when;
  span length{};
  std::uint64_t draw = 0;
};

/// All faults of a seed, in order of time.
std::vector<fault> draw_faults(const trial_options& options);

/// Lets faults happen to a cluster, and ends the lasting ones.
class fault_injector {
 public:
  fault_injector(world& where, cluster& subject, observer& watcher, const trial_options& options,
                 const std::vector<process*>& clients);

  /// Plans all of them.
  void begin();
  /// Mends links and devices and starts what is down: nothing goes wrong from now on.
  void end();

 private:
  void inject(const fault& what);
  void cut_link(const fault& what, bool both);
  void flap_link(const fault& what);
  void spoil_device(const fault& what);
  void kill_one_actor(const fault& what);
  void kill_topology(const fault& what);
  process* pick_process(std::uint64_t draw) const;
  cluster::rank_process* pick_rank(std::uint64_t draw) const;
  std::pair<std::string, std::string> pick_hosts(std::uint64_t draw) const;
  void set_cut(const std::string& from, const std::string& to, bool cut);

  world& world_;
  cluster& cluster_;
  observer& watcher_;
  trial_options options_;
  const std::vector<process*>& clients_;
  bool over_ = false;
  std::map<std::pair<std::string, std::string>, int> cuts_;  ///< how many faults cut each way now
};

}  // namespace troupe::simulation
