// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/trace/flight_record.hpp"

namespace troupe {

enum class trace_order : std::uint8_t { last, slowest };

/// Which events are wanted. Either those of `request`, with what happened in `epochs` and to groups between two times;
/// or, without a request, the main hops of some requests.
struct trace_query {
  trace_key request{};
  std::vector<std::uint64_t> names{};  ///< further numbers that the request has, in groups
  std::vector<std::uint64_t> epochs{};
  std::uint64_t from_ns = 0;  ///< steady clock of the machine that is asked; with to_ns 0: no time is wanted
  std::uint64_t to_ns = 0;
  std::uint32_t requests = 0;  ///< how many requests, when `request` names none
  trace_order order = trace_order::last;
};

template <class Inspector>
bool inspect(Inspector& f, trace_key& x) {
  return f.object(x).fields(f.field("high", x.high), f.field("low", x.low));
}
template <class Inspector>
bool inspect(Inspector& f, trace_query& x) {
  auto get = [&x] { return x.order == trace_order::slowest; };
  auto set = [&x](bool slowest) {
    x.order = slowest ? trace_order::slowest : trace_order::last;
    return true;
  };
  return f.object(x).fields(f.field("request", x.request), f.field("names", x.names), f.field("epochs", x.epochs),
                            f.field("from_ns", x.from_ns), f.field("to_ns", x.to_ns), f.field("requests", x.requests),
                            f.field("slowest", get, set));
}

inline constexpr std::size_t trace_report_bytes_max = 1U << 20U;
inline constexpr std::size_t trace_epochs_max = 1024;
inline constexpr std::uint32_t trace_requests_max = 1000;

/// True when a query's numbers are within what a node answers.
bool is_bounded(const trace_query& query);

/// Leaves in each record what the query wants; records with nothing of it are dropped unless they have a problem.
void select_events(std::vector<flight_record>& records, const trace_query& query);

/// Cuts the records to `events_max` events, those of steps first, the newest first. True when something was cut.
bool cut_events(std::vector<flight_record>& records, std::size_t events_max);

}  // namespace troupe
