// SPDX-License-Identifier: Apache-2.0
// What `troupe inject` asks nodes, and they their ranks. Only where the topology file allows faults does anybody
// answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "runtime/fault/fault.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// Breaks something on purpose; answered with the fault's number.
struct inject {
  fault what;
};

/// The same from a node to its injector, with the cluster as the node sees it.
struct inject_here {
  fault what;
  cluster_view view;
};

struct list_faults {};

/// The faults that wait or last, each in a line.
struct fault_list {
  std::vector<std::string> faults;
};

/// Takes back what waits, and ends what lasts.
struct clear_faults {};

/// RANK INJECTOR: breaks one rank from within its process.
using rank_injector_actor = caf::typed_actor<
    // A fault against this rank.
    caf::result<void>(inject),
    // The group that the rank belongs to, whenever it joins one.
    caf::result<void>(group_view),
    // As of the node.
    caf::result<fault_list>(list_faults), caf::result<void>(clear_faults)>;

/// A rank that is about to join a group can be broken by this actor.
struct rank_injector_ready {
  std::string group;
  std::uint32_t rank = 0;
  std::uint64_t process = 0;
  rank_injector_actor injector;
};

/// FAULT INJECTOR: breaks what one node runs.
using fault_injector_actor = caf::typed_actor<
    // A fault against this node or a rank of it; the error says why not.
    caf::result<std::uint64_t>(inject_here),
    // From a rank of this node.
    caf::result<void>(rank_injector_ready),
    // What waits or lasts; and its end.
    caf::result<fault_list>(list_faults), caf::result<void>(clear_faults)>;

template <class I>
bool inspect(I& f, inject& x) {
  return f.object(x).fields(f.field("what", x.what));
}
template <class I>
bool inspect(I& f, inject_here& x) {
  return f.object(x).fields(f.field("what", x.what), f.field("view", x.view));
}
template <class I>
bool inspect(I& f, list_faults& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, fault_list& x) {
  return f.object(x).fields(f.field("faults", x.faults));
}
template <class I>
bool inspect(I& f, clear_faults& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, rank_injector_ready& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("rank", x.rank), f.field("process", x.process),
                            f.field("injector", x.injector));
}

}  // namespace troupe
