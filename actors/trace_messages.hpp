// SPDX-License-Identifier: Apache-2.0
// What `troupe trace` asks nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "runtime/trace/trace_query.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// Asks a node for what the processes of its machine noted, those that ended included.
struct get_trace {
  trace_query query;
};

struct trace_answer {
  std::string node;
  std::uint64_t machine = 0;  ///< as machine_identity gives it
  std::string records;        ///< as pack_records gives them; at most trace_report_bytes_max
  bool truncated = false;     ///< more was noted than an answer may hold
};

/// Asks a node what its steady clock shows.
struct read_clock {};

struct clock_reading {
  std::string node;
  std::uint64_t machine = 0;
  std::uint64_t steady_ns = 0;
};

/// Asks a node where it and the others are.
struct find_nodes {};

struct node_door {
  std::string name;
  endpoint door;
};

struct known_nodes {
  std::string self;
  std::vector<node_door> nodes;
};

/// TRACE KEEPER: has the flight records of one machine.
using trace_keeper_actor = caf::typed_actor<
    // The events that are asked for.
    caf::result<trace_answer>(get_trace)>;

template <class I>
bool inspect(I& f, get_trace& x) {
  return f.object(x).fields(f.field("query", x.query));
}
template <class I>
bool inspect(I& f, trace_answer& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("machine", x.machine), f.field("records", x.records),
                            f.field("truncated", x.truncated));
}
template <class I>
bool inspect(I& f, read_clock& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, clock_reading& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("machine", x.machine), f.field("steady_ns", x.steady_ns));
}
template <class I>
bool inspect(I& f, find_nodes& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, node_door& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("door", x.door));
}
template <class I>
bool inspect(I& f, known_nodes& x) {
  return f.object(x).fields(f.field("self", x.self), f.field("nodes", x.nodes));
}

}  // namespace troupe
