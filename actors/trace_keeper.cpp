// SPDX-License-Identifier: Apache-2.0
#include "actors/trace_keeper.hpp"

#include <utility>

#include "runtime/trace/flight_folder.hpp"
#include "runtime/trace/trace_report.hpp"

namespace troupe {
namespace {

constexpr std::size_t fixed_bytes = 64 * 1024;  // of a report without events: names, identities, problems

}  // namespace

trace_keeper_actor::behavior_type trace_keeper::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {[this](const get_trace& message) { return on_get(message); }};
}

caf::result<trace_answer> trace_keeper::on_get(const get_trace& message) const {
  if (!is_bounded(message.query)) return make_failure(errc::invalid_request, "the query asks for too much at once");
  std::vector<flight_record> records;
  if (!options_.folder.empty())
    for (auto& kept : read_flight_folder(options_.folder))
      records.push_back(std::move(kept.record));
  if (options_.own && options_.own->path().empty()) records.push_back(parse_flight_record(options_.own->bytes()));
  select_events(records, message.query);
  trace_answer answer{options_.node, machine_identity(), {}, false};
  answer.truncated = cut_events(records, (trace_report_bytes_max - fixed_bytes) / packed_event_bytes_max);
  answer.records = pack_records(records);
  if (answer.records.size() > trace_report_bytes_max)
    return make_failure(errc::invalid_request, "the records of this machine have too many names to be sent");
  return answer;
}

}  // namespace troupe
