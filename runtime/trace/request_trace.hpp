// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/trace/clock_offset.hpp"
#include "runtime/trace/flight_record.hpp"

namespace troupe {

/// The records that one node answered with, and how its clock lies to ours.
struct node_records {
  std::string node;
  std::uint64_t machine = 0;
  clock_offset clock;
  std::vector<flight_record> records;
  bool truncated = false;
  std::string problem{};  ///< why this node gave nothing, in a sentence
};

/// An event with its time on our clock and the words for its numbers.
struct traced_event {
  trace_event event;
  std::int64_t time_ns = 0;  ///< our steady clock
  std::string node;
  std::string role;   ///< of the process that noted it
  std::string group;  ///< empty when none is named
};

/// An epoch that ended under a request. A time that nobody noted is 0.
struct request_recovery {
  std::string group;
  std::uint64_t old_epoch = 0;
  std::uint64_t new_epoch = 0;    ///< 0: the request was given to no group again
  std::string cause;              ///< the loss_cause in words, empty when nobody noted it
  std::string lost;               ///< the rank, for example g0/1
  std::string noticed_by;         ///< the process that noted the loss first
  std::int64_t last_step_ns = 0;  ///< the last sign of work in the old epoch
  std::int64_t noticed_ns = 0;
  std::int64_t fenced_ns = 0;
  std::int64_t assigned_ns = 0;  ///< this and the next two not before the fence, though a group served before
  std::int64_t ready_ns = 0;     ///< the last rank had joined and loaded
  std::int64_t serves_ns = 0;
  std::int64_t enqueued_ns = 0;
  std::int64_t resumed_ns = 0;
  std::uint32_t tokens_kept = 0;  ///< prompt and answer, when the epoch ended
};

/// How much one rank computed in one epoch while the request was in it.
struct rank_share {
  std::string node;
  std::string role;
  std::uint16_t rank = trace_none;
  std::uint64_t epoch = 0;
  std::uint64_t first_step = 0;
  std::uint64_t last_step = 0;
  std::uint64_t steps = 0;
  std::uint64_t busy_ns = 0;
};

struct request_trace {
  trace_key request;
  std::vector<traced_event> events;  ///< of the request and of groups, by time; steps are in `ranks`
  std::vector<request_recovery> recoveries;
  std::vector<rank_share> ranks;
  std::vector<std::string> problems;  ///< records that could not be read in full, nodes that cut their answer
  std::uint64_t uncertainty_ns = 0;   ///< by how much times of different machines may be wrong against each other
  bool empty() const { return events.empty(); }
};

/// A loss_cause in words.
std::string cause_of(std::uint8_t code);

/// The request that is called so by its number, where it has a longer name; else the same.
trace_key full_name(const std::vector<node_records>& answers, trace_key request);

/// The numbers that the request has in groups.
std::vector<std::uint64_t> names_of(const std::vector<node_records>& answers, trace_key request);

/// The epochs that the records name for a request, without doubles.
std::vector<std::uint64_t> epochs_of(const std::vector<node_records>& answers, trace_key request);

/// First and last time of a request on our clock; {0, 0} when nobody noted it.
std::pair<std::int64_t, std::int64_t> times_of(const std::vector<node_records>& answers, trace_key request);

/// Merges what the nodes noted about one request. `wall_offset_ns` is ours, for records of an earlier boot.
request_trace merge_trace(const std::vector<node_records>& answers, trace_key request, std::int64_t wall_offset_ns = 0);

/// One line of `troupe trace --last`.
struct request_summary {
  trace_key request;
  std::string node;             ///< of its router
  std::int64_t wall_ns = 0;     ///< when it came, since 1970
  std::uint64_t lasted_ns = 0;  ///< until its end, or its last event
  std::uint32_t prompt_tokens = 0;
  std::uint32_t tokens = 0;  ///< of the answer, once finished
  std::uint32_t moves = 0;
  std::string ending;  ///< finished, failed, or live
};

std::vector<request_summary> summarise(const std::vector<node_records>& answers);

}  // namespace troupe
