// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/request_trace.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace troupe {
namespace {

/// As topology/membership.hpp numbers them; a test compares the two.
constexpr std::array causes{"ended by its node", "crashed", "hung", "killed", "unreachable"};

std::string group_of(const flight_record& record, std::uint16_t index) {
  return index < record.names.size() ? record.names[index] : std::string{};
}

std::int64_t our_time(const node_records& answer, const flight_record& record, std::uint64_t time_ns,
                      std::int64_t wall_offset_ns) {
  auto time = static_cast<std::int64_t>(time_ns);
  if (record.identity.machine == answer.machine) return time - answer.clock.theirs_minus_ours_ns;
  return time + record.identity.wall_offset_ns - wall_offset_ns;  // of an earlier boot: only the wall clock is shared
}

template <class Visit>
void for_each_event(const std::vector<node_records>& answers, std::int64_t wall_offset_ns, Visit visit) {
  for (const auto& answer : answers)
    for (const auto& record : answer.records)
      for (const auto& event : record.events)
        visit(traced_event{event, our_time(answer, record, event.time_ns, wall_offset_ns), record.identity.node,
                           record.identity.role, group_of(record, event.group)});
}

void note_problems(const std::vector<node_records>& answers, request_trace& trace) {
  for (const auto& answer : answers) {
    if (!answer.problem.empty()) {
      trace.problems.push_back(answer.problem);
      continue;
    }
    if (answer.truncated)
      trace.problems.push_back(
          fmt::format("node {} noted more than its answer may hold; steps are left out first", answer.node));
    for (const auto& record : answer.records) {
      if (!record.problem.empty())
        trace.problems.push_back(fmt::format("node {}, record of {} (process {}): {}", answer.node,
                                             record.identity.role.empty() ? "?" : record.identity.role,
                                             record.identity.process, record.problem));
      if (record.identity.machine != answer.machine && !record.events.empty())
        trace.problems.push_back(
            fmt::format("node {}, record of {}: of an earlier boot, its times are the wall clock's", answer.node,
                        record.identity.role));
    }
    trace.uncertainty_ns = std::max(trace.uncertainty_ns, answer.clock.uncertainty_ns);
  }
}

/// Begun and done steps of each rank become one line an epoch.
class share_counter {
 public:
  void add(const traced_event& x) {
    auto& share = shares_[{x.event.epoch, x.node, x.role, x.event.rank}];
    if (x.event.hop == trace_hop::step_begun) {
      begun_[{x.event.epoch, x.node, x.role, x.event.rank, x.event.step}] = x.time_ns;
      return;
    }
    if (share.steps++ == 0) share = {x.node, x.role, x.event.rank, x.event.epoch, x.event.step, x.event.step, 1, 0};
    share.first_step = std::min(share.first_step, x.event.step);
    share.last_step = std::max(share.last_step, x.event.step);
    if (auto begun = begun_.extract({x.event.epoch, x.node, x.role, x.event.rank, x.event.step});
        begun && begun.mapped() <= x.time_ns)
      share.busy_ns += static_cast<std::uint64_t>(x.time_ns - begun.mapped());
  }

  std::vector<rank_share> take() const {
    std::vector<rank_share> all;
    for (const auto& [key, share] : shares_)
      if (share.steps > 0) all.push_back(share);
    return all;
  }

 private:
  std::map<std::tuple<std::uint64_t, std::string, std::string, std::uint16_t>, rank_share> shares_;
  std::map<std::tuple<std::uint64_t, std::string, std::string, std::uint16_t, std::uint64_t>, std::int64_t> begun_;
};

/// What is known of one epoch, from whoever noted it.
struct epoch_facts {
  std::int64_t assigned_ns = 0, ready_ns = 0, serves_ns = 0, last_work_ns = 0;
};

using epoch_table = std::map<std::uint64_t, epoch_facts>;

void learn(epoch_table& epochs, const traced_event& x) {
  if (x.event.epoch == 0) return;
  auto& facts = epochs[x.event.epoch];
  auto latest = [&](std::int64_t& time) { time = std::max(time, x.time_ns); };
  switch (x.event.hop) {
    case trace_hop::epoch_assigned:
      facts.assigned_ns = x.time_ns;
      break;
    case trace_hop::epoch_serves:
      if (facts.serves_ns == 0) facts.serves_ns = x.time_ns;
      break;
    case trace_hop::rank_ready:
      latest(facts.ready_ns);
      break;
    case trace_hop::step_done:
    case trace_hop::sampled:
    case trace_hop::delivered:
      latest(facts.last_work_ns);
      break;
    default:
      break;
  }
}

/// How much a loss explains. A rank that is out of reach of itself has lost another one, and says so of that one.
int weight_of(const trace_event& loss) {
  constexpr std::array weights{0, 2, 3, 4, 1};
  constexpr std::uint8_t unreachable = 4;
  if (loss.code == unreachable && loss.count == 0) return 0;
  return loss.code < weights.size() ? weights[loss.code] : 0;
}

bool is_loss(const traced_event& x, const request_recovery& recovery) {
  return x.event.hop == trace_hop::rank_lost && x.event.epoch == recovery.old_epoch && x.group == recovery.group;
}

/// The loss that ended an epoch: the one that explains most. A rank that its node ended, as of no use any more, counts
/// only if somebody had complained of it before, or if all others complained and it alone did not: then it had died
/// before its node ended it.
const traced_event* find_loss(const request_recovery& recovery, const std::vector<traced_event>& all) {
  const traced_event* found = nullptr;
  std::set<std::uint16_t> ended, accused, complained;
  std::map<std::uint16_t, const traced_event*> exits;  // of ranks that their node ended
  for (const auto& x : all) {
    if (!is_loss(x, recovery)) continue;
    const auto& loss = x.event;
    if (loss.code == 0) ended.insert(loss.rank);
    if (loss.code == 0) continue;
    if (ended.count(loss.rank) > 0 && accused.count(loss.rank) == 0) {
      exits.emplace(loss.rank, &x);
      continue;
    }
    (weight_of(loss) > 0 ? accused : complained).insert(loss.rank);
    if (!found || weight_of(loss) > weight_of(found->event)) found = &x;
  }
  std::erase_if(exits, [&](const auto& exit) { return complained.count(exit.first) > 0; });
  const bool explained = found && weight_of(found->event) > 0;
  return !explained && exits.size() == 1 ? exits.begin()->second : found;
}

request_recovery begin_recovery(const traced_event& moved, const std::vector<traced_event>& all,
                                const epoch_table& epochs) {
  request_recovery recovery;
  recovery.group = moved.group;
  recovery.old_epoch = moved.event.epoch;
  recovery.tokens_kept = moved.event.count;
  if (auto old = epochs.find(recovery.old_epoch); old != epochs.end()) recovery.last_step_ns = old->second.last_work_ns;
  // The fence is the new epoch's event; the first one of the group after the old epoch's last work is it.
  for (const auto& x : all)
    if (x.event.hop == trace_hop::epoch_fenced && x.event.epoch > recovery.old_epoch && x.group == recovery.group) {
      recovery.fenced_ns = x.time_ns;
      break;
    }
  if (const auto* lost = find_loss(recovery, all)) {
    recovery.cause = cause_of(lost->event.code);
    recovery.lost = lost->event.rank == trace_none ? lost->group : fmt::format("{}/{}", lost->group, lost->event.rank);
    // Who suffered from it may have noticed it first.
    const auto first =
        std::find_if(all.begin(), all.end(), [&](const auto& x) { return is_loss(x, recovery) && x.event.code != 0; });
    recovery.noticed_by = fmt::format("{} on node {}", first->role, first->node);
    recovery.noticed_ns = first->time_ns;
  }
  return recovery;
}

void find_recoveries(request_trace& trace, const epoch_table& epochs) {
  for (auto x = trace.events.begin(); x != trace.events.end(); ++x) {
    if (x->event.hop != trace_hop::moved) continue;
    auto recovery = begin_recovery(*x, trace.events, epochs);
    for (auto next = std::next(x); next != trace.events.end() && next->event.hop != trace_hop::moved; ++next) {
      if (next->event.hop == trace_hop::enqueued && recovery.new_epoch == 0) {
        recovery.new_epoch = next->event.epoch;
        recovery.enqueued_ns = next->time_ns;
      }
      if (next->event.hop == trace_hop::resumed && recovery.resumed_ns == 0) recovery.resumed_ns = next->time_ns;
    }
    if (auto facts = epochs.find(recovery.new_epoch); facts != epochs.end()) {
      // Nobody waited for what another group had done before it got the request.
      auto since_fence = [&](std::int64_t time) { return time == 0 ? 0 : std::max(time, recovery.fenced_ns); };
      recovery.assigned_ns = since_fence(facts->second.assigned_ns);
      recovery.ready_ns = since_fence(facts->second.ready_ns);
      recovery.serves_ns = since_fence(facts->second.serves_ns);
    }
    trace.recoveries.push_back(std::move(recovery));
  }
}

}  // namespace

std::string cause_of(std::uint8_t code) { return code < causes.size() ? causes[code] : fmt::format("cause {}", code); }

trace_key full_name(const std::vector<node_records>& answers, trace_key request) {
  auto found = request;
  for_each_event(answers, 0, [&](const traced_event& x) {
    if (request.high == 0 && names_request(x.event.hop) && x.event.step == request.low) found = x.event.request;
  });
  return found;
}

std::vector<std::uint64_t> names_of(const std::vector<node_records>& answers, trace_key request) {
  std::set<std::uint64_t> names;
  for_each_event(answers, 0, [&](const traced_event& x) {
    if (x.event.request == request && names_request(x.event.hop) && x.event.step != 0) names.insert(x.event.step);
  });
  return {names.begin(), names.end()};
}

std::vector<std::uint64_t> epochs_of(const std::vector<node_records>& answers, trace_key request) {
  std::set<std::uint64_t> epochs;
  for_each_event(answers, 0, [&](const traced_event& x) {
    if (x.event.request == request && x.event.epoch != 0) epochs.insert(x.event.epoch);
  });
  return {epochs.begin(), epochs.end()};
}

std::pair<std::int64_t, std::int64_t> times_of(const std::vector<node_records>& answers, trace_key request) {
  std::pair<std::int64_t, std::int64_t> times{0, 0};
  for_each_event(answers, 0, [&](const traced_event& x) {
    if (x.event.request != request) return;
    if (times.first == 0 || x.time_ns < times.first) times.first = x.time_ns;
    times.second = std::max(times.second, x.time_ns);
  });
  return times;
}

request_trace merge_trace(const std::vector<node_records>& answers, trace_key request, std::int64_t wall_offset_ns) {
  request_trace trace;
  trace.request = request;
  note_problems(answers, trace);
  const auto known = names_of(answers, request);
  const std::set<std::uint64_t> names{known.begin(), known.end()};
  epoch_table epochs;
  std::vector<traced_event> steps;
  for_each_event(answers, wall_offset_ns, [&](traced_event x) {
    if (x.event.request && x.event.request != request &&
        (x.event.request.high != 0 || names.count(x.event.request.low) == 0))
      return;
    learn(epochs, x);
    (of_step(x.event.hop) ? steps : trace.events).push_back(std::move(x));
  });
  auto by_time = [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; };
  std::stable_sort(steps.begin(), steps.end(), by_time);
  std::stable_sort(trace.events.begin(), trace.events.end(), by_time);
  auto own = [](const auto& x) { return static_cast<bool>(x.event.request); };  // what came before it is not its way
  trace.events.erase(trace.events.begin(), std::find_if(trace.events.begin(), trace.events.end(), own));
  share_counter shares;
  for (const auto& x : steps)
    shares.add(x);
  trace.ranks = shares.take();
  find_recoveries(trace, epochs);
  return trace;
}

std::vector<request_summary> summarise(const std::vector<node_records>& answers) {
  std::map<trace_key, request_summary> found;
  std::map<trace_key, std::pair<std::int64_t, std::int64_t>> spans;
  for (const auto& answer : answers)
    for (const auto& record : answer.records)
      for (const auto& event : record.events) {
        if (!event.request) continue;
        auto& summary = found[event.request];
        auto wall = static_cast<std::int64_t>(event.time_ns) + record.identity.wall_offset_ns;
        auto& span = spans.try_emplace(event.request, wall, wall).first->second;
        span = {std::min(span.first, wall), std::max(span.second, wall)};
        summary.request = event.request;
        summary.node = record.identity.node;
        if (event.hop == trace_hop::tokenized) summary.prompt_tokens = event.count;
        if (event.hop == trace_hop::moved) ++summary.moves;
        if (event.hop == trace_hop::finished || event.hop == trace_hop::failed) {
          summary.ending = to_string(event.hop);
          summary.tokens = event.count;
        }
      }
  std::vector<request_summary> all;
  for (auto& [key, summary] : found) {
    if (summary.ending.empty()) summary.ending = "live";
    summary.wall_ns = spans[key].first;
    summary.lasted_ns = static_cast<std::uint64_t>(spans[key].second - spans[key].first);
    all.push_back(std::move(summary));
  }
  return all;
}

}  // namespace troupe
