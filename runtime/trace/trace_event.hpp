// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/ids.hpp"

namespace troupe {

/// Names a request in traces: 128 bits, whatever the ids inside the cluster are made of. 0 names no request.
struct trace_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  explicit operator bool() const { return high != 0 || low != 0; }
  friend auto operator<=>(const trace_key&, const trace_key&) = default;
};

inline trace_key trace_key_of(request_id request) { return {0, request.value}; }

/// Hexadecimal: 16 digits, or 32 when the upper half is not 0.
std::string to_string(trace_key x);

/// Reads 1 to 32 hexadecimal digits. Nothing when the text is anything else, or 0.
std::optional<trace_key> parse_trace_key(std::string_view text);

/// What happened. The values travel and are stored: append only.
enum class trace_hop : std::uint8_t {
  // The way of a request.
  submitted,   ///< router: arrived; step = its number for clients
  tokenized,   ///< router: count = prompt tokens
  enqueued,    ///< router: given to `group`, in `epoch`; step = its number there, count = tokens it had
  admitted,    ///< router: the group has taken it
  step_begun,  ///< rank: its engine began `step`; count = tokens fed
  step_done,   ///< rank: count = tokens sampled
  sampled,     ///< rank 0: `step` gave `count` tokens from `position` on, which counts the prompt too
  delivered,   ///< router: sent to the client up to `position`
  moved,       ///< router: its epoch ended; count = tokens it had
  resumed,     ///< router: the first token after a move
  finished,    ///< router: count = tokens of the answer
  failed,      ///< router: code = errc
  // Of groups, nodes and ranks.
  rank_started,    ///< node: launched it; count = incarnation
  rank_lost,       ///< node or rank: code = loss_cause
  epoch_fenced,    ///< topology: `epoch` replaces an epoch that is over; code = loss_cause
  epoch_assigned,  ///< topology: the members of `epoch` may start
  epoch_serves,    ///< topology: `epoch` takes requests
  group_failed,    ///< topology: given up
  rank_joins,      ///< rank: begins `epoch`
  rank_ready,      ///< rank: has joined and loaded
  rank_leads,      ///< rank 0: plans
  fault_injected,  ///< code = fault_kind
};
inline constexpr auto last_trace_hop = trace_hop::fault_injected;

std::string to_string(trace_hop x);

/// True for what happens to groups and ranks and not to one request.
constexpr bool of_group(trace_hop x) { return x >= trace_hop::rank_started; }
/// True for the hops that say in `step` how else a request is called.
constexpr bool names_request(trace_hop x) { return x == trace_hop::submitted || x == trace_hop::enqueued; }
constexpr bool of_step(trace_hop x) { return x == trace_hop::step_begun || x == trace_hop::step_done; }

/// Stands for "no rank" and "no group" in an event.
inline constexpr std::uint16_t trace_none = 0xffff;

/// One event of a flight record: numbers only, never a token or a text.
struct trace_event {
  std::uint64_t time_ns = 0;  ///< steady clock of the machine; 0: now, when it is recorded
  trace_key request{};
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;
  std::uint32_t position = 0;  ///< of a token in the answer, from 0
  std::uint32_t count = 0;
  std::uint16_t group = trace_none;  ///< index of its name in the recorder's names
  std::uint16_t rank = trace_none;
  trace_hop hop = trace_hop::submitted;
  std::uint8_t code = 0;
  friend bool operator==(const trace_event&, const trace_event&) = default;
};

}  // namespace troupe
