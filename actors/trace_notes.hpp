// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <caf/all.hpp>

#include "actors/errors.hpp"
#include "actors/protocol.hpp"
#include "actors/request_record.hpp"
#include "actors/thread_launcher.hpp"
#include "runtime/scheduler/step_outcome.hpp"
#include "runtime/trace/flight_recorder.hpp"
#include "topology/membership.hpp"

namespace troupe {

/// Notes what became of a group between two views: an epoch is fenced, assigned, serves, or there will be none.
void note_change(const tracer& trace, const group_view& was, const group_view& is);

/// A rank whose loading and steps are noted.
rank_parts with_trace(rank_parts parts, tracer trace);

/// Notes what a rank is doing, or why it is lost.
void note_rank(const tracer& trace, trace_hop hop, const rank_state& state);

/// Notes that a rank has lost the connection to another one of its group.
void note_peer_lost(const tracer& trace, const rank_state& state, std::uint32_t peer);

/// Notes that a node ends a rank, because it is of no use any more: a loss without a cause.
void note_end(const tracer& trace, const rank_state& state);

/// Notes the first tokens that a step gave to a request, and of those after them every 32nd: a ring that held each
/// would hold a second.
void note_tokens(const tracer& trace, const request_update& update, std::uint64_t of_epoch, std::uint64_t step);

/// Notes a hop of a request. Its key is the client's where there is one, else its number; `submitted` and `enqueued`
/// say in `step` how else it is called: by clients, and in its group.
void note_request(const tracer& trace, trace_hop hop, const request_record& entry, std::size_t count = 0,
                  std::uint8_t code = 0);

/// Notes that a request's epoch is over; and, with the next token, that it goes on.
void note_move(const tracer& trace, request_record& entry);
void note_resumption(const tracer& trace, request_record& entry);

/// Notes that tokens went to the client, as seldom as note_tokens does.
void note_delivery(const tracer& trace, const request_record& entry, const std::vector<answer_token>& tokens);

/// True when one of `count` positions from `position` on is noted.
constexpr bool is_noted(std::uint32_t position, std::size_t count) {
  constexpr std::uint32_t every = 32;
  return position < 2 || position % every + count > every || position % every == 0;
}

/// The number of an error, 0 when it is none of ours.
std::uint8_t trace_code(const caf::error& reason);

}  // namespace troupe
