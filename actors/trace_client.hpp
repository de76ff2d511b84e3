// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "actors/client.hpp"
#include "runtime/trace/request_trace.hpp"
#include "runtime/trace/trace_query.hpp"

namespace troupe {

/// Collects what the nodes of a cluster noted. Everything waits; a node that does not answer is named in the result.
class trace_client {
 public:
  /// `entry` is any node; the others are found through it. Throws client_error when it does not answer.
  trace_client(caf::actor_system& system, const client& entry);

  /// The way of one request; empty when no record names it.
  request_trace trace(trace_key request);

  /// The last or the slowest requests, of all routers.
  std::vector<request_summary> requests(std::uint32_t count, trace_order order);

 private:
  struct reached_node {
    std::string name;
    node_actor handle;
    clock_offset clock;
    std::uint64_t machine = 0;
    std::string problem;
  };

  void measure(reached_node& node);
  /// A query whose times are on our clock.
  std::vector<node_records> collect(trace_query query, bool timed);

  caf::actor_system* system_;
  std::vector<reached_node> nodes_;
};

}  // namespace troupe
