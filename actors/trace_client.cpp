// SPDX-License-Identifier: Apache-2.0
#include "actors/trace_client.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "actors/ask.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "runtime/trace/trace_report.hpp"

namespace troupe {
namespace {

constexpr std::chrono::milliseconds answer_timeout{10'000};
constexpr std::chrono::milliseconds reach_timeout{2'000};
constexpr int clock_rounds = 16;
constexpr std::int64_t around_ns = 20'000'000;  // before and after a request: what led to it and what followed

std::int64_t wall_offset_now() {
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  return wall.tv_sec * 1'000'000'000 + wall.tv_nsec - static_cast<std::int64_t>(steady_now_ns());
}

std::uint64_t theirs(std::int64_t ours, const clock_offset& clock) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, ours + clock.theirs_minus_ours_ns));
}

}  // namespace

trace_client::trace_client(caf::actor_system& system, const client& entry) : system_(&system) {
  auto known = ask<known_nodes>(system, entry.node(), answer_timeout, find_nodes{});
  for (const auto& node : known.nodes) {
    reached_node reached{node.name, {}, {}, 0, {}};
    try {
      reached.handle = node.name == known.self
                           ? entry.node()
                           : client::connect(system, node.door.host, node.door.port, reach_timeout).node();
      measure(reached);
    } catch (const client_error& error) {
      reached.problem = fmt::format("node {} is not reached, what it noted is missing: {}", node.name, error.what());
    }
    nodes_.push_back(std::move(reached));
  }
}

void trace_client::measure(reached_node& node) {
  std::vector<clock_sample> samples;
  for (int round = 0; round < clock_rounds; ++round) {
    auto asked = steady_now_ns();
    auto reading = ask<clock_reading>(*system_, node.handle, answer_timeout, read_clock{});
    samples.push_back({asked, reading.steady_ns, steady_now_ns()});
    node.machine = reading.machine;
  }
  // On this machine it is the same clock.
  node.clock = node.machine == machine_identity() ? clock_offset{} : estimate_offset(samples);
}

std::vector<node_records> trace_client::collect(trace_query query, bool timed) {
  std::vector<node_records> answers;
  for (const auto& node : nodes_) {
    node_records collected{node.name, node.machine, node.clock, {}, false, node.problem};
    if (node.problem.empty()) {
      auto theirs_query = query;
      if (timed) {
        theirs_query.from_ns = theirs(static_cast<std::int64_t>(query.from_ns), node.clock);
        theirs_query.to_ns = theirs(static_cast<std::int64_t>(query.to_ns), node.clock);
      }
      try {
        auto answer = ask<trace_answer>(*system_, node.handle, answer_timeout, get_trace{std::move(theirs_query)});
        auto unpacked = unpack_records(answer.records);
        collected.records = std::move(unpacked.records);
        collected.truncated = answer.truncated;
        if (!unpacked.problem.empty()) collected.problem = fmt::format("node {}: {}", node.name, unpacked.problem);
      } catch (const client_error& error) {
        collected.problem = fmt::format("node {} gave no records: {}", node.name, error.what());
      }
    }
    answers.push_back(std::move(collected));
  }
  return answers;
}

request_trace trace_client::trace(trace_key request) {
  trace_query query;
  query.request = request;
  auto own = collect(query, false);
  if (auto full = full_name(own, request); full != request) {
    query.request = request = full;
    own = collect(query, false);
  }
  auto [first, last] = times_of(own, request);
  if (last == 0) return merge_trace(own, request, wall_offset_now());
  query.epochs = epochs_of(own, request);
  query.names = names_of(own, request);
  if (query.names.size() > trace_epochs_max) query.names.resize(trace_epochs_max);
  if (query.epochs.size() > trace_epochs_max) query.epochs.resize(trace_epochs_max);
  query.from_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, first - around_ns));
  query.to_ns = static_cast<std::uint64_t>(last + around_ns);
  return merge_trace(collect(query, true), request, wall_offset_now());
}

std::vector<request_summary> trace_client::requests(std::uint32_t count, trace_order order) {
  trace_query query;
  query.requests = std::min(count, trace_requests_max);
  query.order = order;
  auto found = summarise(collect(query, false));
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return order == trace_order::last ? a.wall_ns > b.wall_ns : a.lasted_ns > b.lasted_ns;
  });
  if (found.size() > count) found.resize(count);
  return found;
}

}  // namespace troupe
