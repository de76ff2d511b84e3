// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace_text.hpp"

#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace troupe {
namespace {

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

/// What an event's numbers mean, in words.
std::string detail_of(const traced_event& x) {
  const auto& e = x.event;
  std::string rank = e.rank == trace_none ? "" : fmt::format("/{}", e.rank);
  std::string in = x.group.empty() ? "" : fmt::format("{}{} ", x.group, rank);
  std::string epoch = e.epoch == 0 ? "" : fmt::format("epoch {}.{} ", e.epoch >> 32U, e.epoch & 0xffffffffU);
  std::string step = e.step == 0 || names_request(e.hop) ? "" : fmt::format("step {} ", e.step);
  switch (e.hop) {
    case trace_hop::tokenized:
      return fmt::format("{} prompt tokens", e.count);
    case trace_hop::enqueued:
      return fmt::format("{}{}with {} tokens", in, epoch, e.count);
    case trace_hop::sampled:
      return fmt::format("{}{}gives position {}", epoch, step, e.position);
    case trace_hop::resumed:
      return fmt::format("{}{}{}token {}", in, epoch, step, e.position);
    case trace_hop::delivered:
      return fmt::format("up to token {}", e.position);
    case trace_hop::moved:
      return fmt::format("{}{}is over; kept {} tokens", in, epoch, e.count);
    case trace_hop::finished:
      return fmt::format("{} tokens", e.count);
    case trace_hop::rank_lost:
      return fmt::format("{}{}{}", in, epoch, cause_of(e.code));
    case trace_hop::failed:
      return fmt::format("after {} tokens, error {}", e.count, e.code);
    default:
      return fmt::format("{}{}{}{}", in, epoch, step, e.code == 0 ? "" : fmt::format("code {}", e.code));
  }
}

/// One phase of a recovery; empty when one of its ends was not noted.
std::string phase(const char* what, std::int64_t from, std::int64_t to) {
  if (from == 0 || to == 0) return fmt::format("    {:<34} not noted\n", what);
  return fmt::format("    {:<34} {:9.1f} ms\n", what, ms(to - from));
}

std::string recovery_text(const request_recovery& x) {
  std::string out =
      fmt::format("  recovery: {} {} in epoch {}.{}, noticed by {}; {} tokens kept\n",
                  fmt::format("{} {}", x.lost.empty() ? "group" : "rank", x.lost.empty() ? x.group : x.lost),
                  x.cause.empty() ? "lost" : x.cause, x.old_epoch >> 32U, x.old_epoch & 0xffffffffU,
                  x.noticed_by.empty() ? "nobody whose record is left" : x.noticed_by, x.tokens_kept);
  out += phase("last work until noticed", x.last_step_ns, x.noticed_ns);
  out += phase("until the old epoch was fenced", x.noticed_ns, x.fenced_ns);
  out += phase("until the new epoch was assigned", x.fenced_ns, x.assigned_ns);
  out += phase("until all ranks were ready", x.assigned_ns, x.ready_ns);
  out += phase("until the group served", x.ready_ns, x.serves_ns);
  out += phase("until the request was given to it", x.serves_ns, x.enqueued_ns);
  out += phase("until its next token", x.enqueued_ns, x.resumed_ns);
  out += phase("in all, last work to next token", x.last_step_ns, x.resumed_ns);
  return out;
}

std::string wall_text(std::int64_t wall_ns) {
  auto seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}Z", fmt::gmtime(seconds), wall_ns / 1'000'000 % 1000);
}

nlohmann::ordered_json json_of(const traced_event& x, std::int64_t start) {
  nlohmann::ordered_json out{
      {"time_ns", x.time_ns - start}, {"hop", to_string(x.event.hop)}, {"node", x.node}, {"process", x.role}};
  if (!x.group.empty()) out["group"] = x.group;
  if (x.event.rank != trace_none) out["rank"] = x.event.rank;
  if (x.event.epoch != 0) out["epoch"] = x.event.epoch;
  if (x.event.step != 0) out["step"] = x.event.step;
  out["position"] = x.event.position;
  out["count"] = x.event.count;
  out["code"] = x.event.code;
  return out;
}

nlohmann::ordered_json json_of(const request_recovery& x, std::int64_t start) {
  auto time = [&](std::int64_t t) {
    return t == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(t - start);
  };
  return {{"group", x.group},
          {"old_epoch", x.old_epoch},
          {"new_epoch", x.new_epoch},
          {"lost", x.lost},
          {"cause", x.cause},
          {"noticed_by", x.noticed_by},
          {"tokens_kept", x.tokens_kept},
          {"last_work_ns", time(x.last_step_ns)},
          {"noticed_ns", time(x.noticed_ns)},
          {"fenced_ns", time(x.fenced_ns)},
          {"assigned_ns", time(x.assigned_ns)},
          {"ready_ns", time(x.ready_ns)},
          {"serves_ns", time(x.serves_ns)},
          {"enqueued_ns", time(x.enqueued_ns)},
          {"resumed_ns", time(x.resumed_ns)}};
}

}  // namespace

std::string trace_text(const request_trace& trace) {
  auto out = fmt::format("request {}", to_string(trace.request));
  if (trace.uncertainty_ns > 0)
    out += fmt::format("; times of other machines are right to {:.3f} ms",
                       ms(static_cast<std::int64_t>(trace.uncertainty_ns)));
  out += fmt::format("\n  {:>10} {:>9}  {:<14} {:<16} {}\n", "ms", "gap", "hop", "where", "what");
  std::int64_t start = trace.events.empty() ? 0 : trace.events.front().time_ns;
  auto before = start;
  for (const auto& x : trace.events) {
    out += fmt::format("  {:10.3f} {:9.3f}  {:<14} {:<16} {}\n", ms(x.time_ns - start), ms(x.time_ns - before),
                       to_string(x.event.hop), fmt::format("{}@{}", x.role, x.node), detail_of(x));
    before = x.time_ns;
  }
  for (const auto& x : trace.ranks)
    out += fmt::format("  rank {}{}: epoch {}.{}, steps {} to {}, {} noted, {:.3f} ms a step\n", x.role,
                       x.node.empty() ? "" : fmt::format("@{}", x.node), x.epoch >> 32U, x.epoch & 0xffffffffU,
                       x.first_step, x.last_step, x.steps,
                       ms(static_cast<std::int64_t>(x.busy_ns)) / static_cast<double>(x.steps));
  for (const auto& x : trace.recoveries)
    out += recovery_text(x);
  for (const auto& x : trace.problems)
    out += fmt::format("  note: {}\n", x);
  return out;
}

std::string trace_json(const request_trace& trace) {
  std::int64_t start = trace.events.empty() ? 0 : trace.events.front().time_ns;
  nlohmann::ordered_json events = nlohmann::ordered_json::array(), ranks = events, recoveries = events;
  for (const auto& x : trace.events)
    events.push_back(json_of(x, start));
  for (const auto& x : trace.ranks)
    ranks.push_back({{"node", x.node},
                     {"process", x.role},
                     {"epoch", x.epoch},
                     {"first_step", x.first_step},
                     {"last_step", x.last_step},
                     {"steps", x.steps},
                     {"busy_ns", x.busy_ns}});
  for (const auto& x : trace.recoveries)
    recoveries.push_back(json_of(x, start));
  return nlohmann::ordered_json{{"request", to_string(trace.request)}, {"uncertainty_ns", trace.uncertainty_ns},
                                {"events", std::move(events)},         {"ranks", std::move(ranks)},
                                {"recoveries", std::move(recoveries)}, {"problems", trace.problems}}
      .dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::string summary_text(const std::vector<request_summary>& requests) {
  auto out = fmt::format("{:<33} {:<24} {:>10} {:>7} {:>7} {:>5} {:<9} {}\n", "request", "came", "ms", "prompt",
                         "answer", "moves", "ending", "node");
  for (const auto& x : requests)
    out +=
        fmt::format("{:<33} {:<24} {:>10.1f} {:>7} {:>7} {:>5} {:<9} {}\n", to_string(x.request), wall_text(x.wall_ns),
                    ms(static_cast<std::int64_t>(x.lasted_ns)), x.prompt_tokens, x.tokens, x.moves, x.ending, x.node);
  return out;
}

std::string summary_json(const std::vector<request_summary>& requests) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& x : requests)
    all.push_back({{"request", to_string(x.request)},
                   {"node", x.node},
                   {"unix_ns", x.wall_ns},
                   {"lasted_ns", x.lasted_ns},
                   {"prompt_tokens", x.prompt_tokens},
                   {"tokens", x.tokens},
                   {"moves", x.moves},
                   {"ending", x.ending}});
  return all.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace troupe
