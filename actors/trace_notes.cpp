// SPDX-License-Identifier: Apache-2.0
#include "actors/trace_notes.hpp"

#include <memory>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/trace/traced_executor.hpp"

namespace troupe {
namespace {

/// Why the epoch before this view was given up.
std::uint8_t cause_of(const group_view& is) {
  return is.ended.empty() ? 0 : static_cast<std::uint8_t>(is.ended.back().cause);
}

/// True for a child of this process that has ended, whether or not anybody has been told.
bool has_ended(std::uint64_t process) {
  if (process == 0 || process == static_cast<std::uint64_t>(getpid())) return false;
  siginfo_t info{};
  auto asked = waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT);
  return asked != 0 || info.si_pid != 0;
}

trace_key key_of(const request_record& entry) {
  return entry.key ? trace_key{entry.key.high, entry.key.low} : trace_key_of(entry.id);
}

}  // namespace

void note_request(const tracer& trace, trace_hop hop, const request_record& entry, std::size_t count,
                  std::uint8_t code) {
  std::uint64_t other_name = 0;
  if (hop == trace_hop::submitted) other_name = entry.id.value;
  if (hop == trace_hop::enqueued) other_name = entry.request.id.value;
  trace({.request = key_of(entry),
         .epoch = entry.epoch.value,
         .step = other_name,
         .count = static_cast<std::uint32_t>(count),
         .group = trace.name(entry.group),
         .hop = hop,
         .code = code});
}

void note_move(const tracer& trace, request_record& entry) {
  note_request(trace, trace_hop::moved, entry, entry.request.tokens.size());
  entry.resumes = true;
}

void note_resumption(const tracer& trace, request_record& entry) {
  if (!entry.resumes) return;
  entry.resumes = false;
  trace({.request = key_of(entry),
         .epoch = entry.epoch.value,
         .position = entry.output_tokens(),
         .group = trace.name(entry.group),
         .hop = trace_hop::resumed});
}

void note_delivery(const tracer& trace, const request_record& entry, const std::vector<answer_token>& tokens) {
  if (!trace || tokens.empty() || !is_noted(tokens.front().position, tokens.size())) return;
  trace({.request = key_of(entry),
         .epoch = entry.epoch.value,
         .position = tokens.back().position,
         .count = static_cast<std::uint32_t>(tokens.size()),
         .hop = trace_hop::delivered});
}

rank_parts with_trace(rank_parts parts, tracer trace) {
  if (!trace) return parts;
  parts.options.trace = trace;
  parts.make_executor = [inner = std::move(parts.make_executor), trace = std::move(trace),
                         me = parts.options.identity](const group_view& view) -> std::unique_ptr<executor> {
    const auto rank = view.find_member(me.node, me.device)->rank;
    return std::make_unique<traced_executor>(inner(view), trace, view.epoch, trace.name(view.name),
                                             static_cast<std::uint16_t>(rank));
  };
  return parts;
}

void note_change(const tracer& trace, const group_view& was, const group_view& is) {
  if (!trace || (was.phase == is.phase && was.epoch == is.epoch)) return;
  auto note = [&](trace_hop hop, std::uint8_t code = 0) {
    trace({.epoch = is.epoch, .group = trace.name(is.name), .hop = hop, .code = code});
  };
  auto in_use = [](group_phase phase) { return phase == group_phase::starting || phase == group_phase::serving; };
  if (in_use(was.phase) && (was.epoch != is.epoch || !in_use(is.phase))) note(trace_hop::epoch_fenced, cause_of(is));
  if (is.phase == group_phase::starting) note(trace_hop::epoch_assigned);
  if (is.phase == group_phase::serving) note(trace_hop::epoch_serves);
  if (is.phase == group_phase::failed) note(trace_hop::group_failed);
}

void note_rank(const tracer& trace, trace_hop hop, const rank_state& state) {
  trace({.epoch = state.epoch,
         .group = trace.name(state.group),
         .rank = static_cast<std::uint16_t>(state.rank),
         .hop = hop,
         .code = static_cast<std::uint8_t>(state.cause)});
}

void note_peer_lost(const tracer& trace, const rank_state& state, std::uint32_t peer) {
  trace({.epoch = state.epoch,
         .count = 1,  // says it of another rank
         .group = trace.name(state.group),
         .rank = static_cast<std::uint16_t>(peer),
         .hop = trace_hop::rank_lost,
         .code = static_cast<std::uint8_t>(loss_cause::unreachable)});
}

void note_end(const tracer& trace, const rank_state& state) {
  if (has_ended(state.process)) return;  // by itself: its exit is about to be noted, with its cause
  auto of_no_use = state;
  of_no_use.cause = loss_cause::none;
  note_rank(trace, trace_hop::rank_lost, of_no_use);
}

void note_tokens(const tracer& trace, const request_update& update, std::uint64_t of_epoch, std::uint64_t step) {
  if (!trace || update.tokens.empty()) return;
  const auto& first = update.tokens.front();
  if (update.finish == finish_reason::none && !is_noted(first.position, update.tokens.size())) return;
  trace({.request = trace_key_of(update.request),
         .epoch = of_epoch,
         .step = step,
         .position = first.position,
         .count = static_cast<std::uint32_t>(update.tokens.size()),
         .hop = trace_hop::sampled});
}

std::uint8_t trace_code(const caf::error& reason) {
  return reason.category() == caf::type_id_v<errc> ? reason.code() : std::uint8_t{0};
}

}  // namespace troupe
