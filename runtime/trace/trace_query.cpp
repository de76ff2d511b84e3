// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace_query.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace troupe {
namespace {

/// An event of the request, by whichever of its names, or the one that says that it has this name too.
bool is_of(const trace_event& event, trace_key request, const std::set<std::uint64_t>& names) {
  if (event.request == request || (event.request.high == 0 && names.count(event.request.low) > 0)) return true;
  return request.high == 0 && names_request(event.hop) && event.step == request.low;
}

bool is_main_hop(trace_hop hop) {
  switch (hop) {
    case trace_hop::submitted:
    case trace_hop::tokenized:
    case trace_hop::admitted:
    case trace_hop::moved:
    case trace_hop::finished:
    case trace_hop::failed:
      return true;
    default:
      return false;
  }
}

/// The requests with the newest end, or the longest time between their first and last event.
std::set<trace_key> choose(const std::vector<flight_record>& records, const trace_query& query) {
  struct span {
    std::uint64_t first = UINT64_MAX, last = 0;
  };
  std::map<trace_key, span> spans;
  for (const auto& record : records)
    for (const auto& event : record.events) {
      if (!event.request) continue;
      auto& known = spans[event.request];
      known.first = std::min(known.first, event.time_ns);
      known.last = std::max(known.last, event.time_ns);
    }
  std::vector<std::pair<std::uint64_t, trace_key>> ordered;
  for (const auto& [key, known] : spans)
    ordered.emplace_back(query.order == trace_order::last ? known.last : known.last - known.first, key);
  std::sort(ordered.begin(), ordered.end(), std::greater<>{});
  std::set<trace_key> chosen;
  for (std::size_t i = 0; i < std::min<std::size_t>(ordered.size(), query.requests); ++i)
    chosen.insert(ordered[i].second);
  return chosen;
}

}  // namespace

bool is_bounded(const trace_query& query) {
  return query.epochs.size() <= trace_epochs_max && query.names.size() <= trace_epochs_max &&
         query.requests <= trace_requests_max;
}

void select_events(std::vector<flight_record>& records, const trace_query& query) {
  const std::set<std::uint64_t> names{query.names.begin(), query.names.end()};
  const std::set<std::uint64_t> epochs{query.epochs.begin(), query.epochs.end()};
  const auto chosen = query.request ? std::set<trace_key>{} : choose(records, query);
  auto wanted = [&](const trace_event& event) {
    if (!query.request) return is_main_hop(event.hop) && chosen.count(event.request) > 0;
    if (event.request) return is_of(event, query.request, names);
    auto timely = event.time_ns >= query.from_ns && event.time_ns <= query.to_ns;
    if (of_step(event.hop)) return timely && epochs.count(event.epoch) > 0;
    return of_group(event.hop) && (timely || (event.epoch != 0 && epochs.count(event.epoch) > 0));
  };
  for (auto& record : records)
    std::erase_if(record.events, [&](const auto& event) { return !wanted(event); });
  std::erase_if(records, [](const auto& record) { return record.events.empty() && record.problem.empty(); });
}

bool cut_events(std::vector<flight_record>& records, std::size_t events_max) {
  std::size_t count = 0;
  for (const auto& record : records)
    count += record.events.size();
  if (count <= events_max) return false;
  auto cut = [&](auto may_go) {
    for (auto record = records.rbegin(); record != records.rend() && count > events_max; ++record) {
      auto surplus = count - events_max;
      std::reverse(record->events.begin(), record->events.end());
      count -= std::erase_if(record->events, [&](const auto& e) { return surplus > 0 && may_go(e) && surplus-- > 0; });
      std::reverse(record->events.begin(), record->events.end());
    }
  };
  cut([](const trace_event& event) { return of_step(event.hop); });
  cut([](const trace_event&) { return true; });
  return true;
}

}  // namespace troupe
