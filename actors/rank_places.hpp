// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/protocol.hpp"
#include "actors/rank_launcher.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/cluster_file.hpp"
#include "topology/restart_policy.hpp"

namespace troupe {

/// The places of one machine and the ranks that run there: a rank for every device that the file names, spares too.
/// Ends ranks whose epoch is over, and starts what has ended, within the restart policy. Used by a node alone.
class rank_places {
 public:
  using time_point = restart_policy::time_point;

  struct place {
    rank_state state;
    scheduler_rank_actor handle;  ///< null until it has reported
    bool running = false;
    bool listed = true;        ///< the file names it
    bool ending = false;       ///< it is being ended
    bool ordered_end = false;  ///< its end is this node's doing and counts for nothing
    restart_policy policy;
    time_point started{};  ///< since when it has been ready to serve
  };

  rank_places(std::string node, std::uint64_t boot, std::shared_ptr<rank_launcher> launcher, tracer trace = {});

  /// The places that a topology file names. Those it no longer names end once no epoch needs them.
  void list(const cluster_file& file);

  /// Ends the ranks whose epoch is over and those that failed.
  void end_outdated(const cluster_view& view);

  /// Starts what may be started. `node`: whom ranks report to.
  void start_due(const node_actor& node, time_point now);

  void end_all();
  /// Ends the rank of a lost connection. True if there was one.
  bool end_silent(const caf::actor_addr& rank, const caf::error& reason);

  /// Takes what a rank says of itself. The place when something has changed, else nullptr.
  const place* take_report(rank_reported& message, time_point now, const std::function<void()>& on_new);
  bool take_exit(const rank_exited& message, time_point now);

  /// An operator wants it tried again at once. False when there is no such place.
  bool forgive(const std::string& device);

  /// The place of a member of an epoch, or nullptr if another rank runs there by now.
  const place* find(const group_member& member) const;

  std::vector<rank_state> states() const;
  const std::map<std::string, place>& all() const { return places_; }

 private:
  void launch(place& at, const node_actor& node, time_point now);
  void kill(place& at, bool ordered);
  bool outdated(const place& at, const cluster_view& view) const;
  void note_end(place& at, time_point now);

  std::string node_;
  std::uint64_t boot_;
  std::shared_ptr<rank_launcher> launcher_;
  tracer trace_;
  std::map<std::string, place> places_;  ///< by device
};

}  // namespace troupe
