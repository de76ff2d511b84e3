// SPDX-License-Identifier: Apache-2.0
// Every message between actors: a command is an imperative, a fact is in the past.
// State is announced again and again (node_state up, cluster_view down); no step depends on one message arriving.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/errors.hpp"
#include "runtime/engine/executor.hpp"
#include "runtime/generation.hpp"
#include "runtime/ids.hpp"
#include "runtime/request.hpp"
#include "runtime/request_key.hpp"
#include "runtime/scheduler/scheduler_stats.hpp"
#include "runtime/scheduler/step_outcome.hpp"
#include "runtime/step_plan.hpp"
#include "topology/cluster_view.hpp"
#include "topology/fence.hpp"
#include "topology/node_state.hpp"
#include "topology/topology_change.hpp"

namespace troupe {

// ---- client <-> router -----------------------------------------------------------------------------------------

/// What `submit` is answered with once a group has admitted the request; answers follow at the sink.
struct accepted {
  request_id request;
  std::uint32_t prompt_tokens = 0;
  std::string model;
};

/// A piece of an answer, at the sink named in `submit`. Each costs one credit.
struct answer {
  std::uint64_t ticket = 0;  ///< the client's own name for the request
  request_id request;
  answer_event event;
};

struct cancel {
  request_id request;
};

/// The client has the request's end; the router may forget it.
struct acknowledge {
  request_id request;
};

/// What a client holds of an answer already, from an earlier submission here or elsewhere.
struct held_answer {
  std::vector<token_id> tokens;
  std::uint64_t text_bytes = 0;  ///< of the text of these tokens
};

/// The client can take that many more answers.
struct grant {
  request_id request;
  std::uint32_t answers = 0;
};

// ---- router <-> tokenizer, detokenizer -------------------------------------------------------------------------

struct tokenize {
  troupe::prompt prompt;
};

struct tokenized {
  std::vector<token_id> tokens;
};

/// Makes the detokenizer's state for a request; repeated, it starts again from nothing.
struct open_text {
  request_id request;
  std::vector<std::string> stop_strings;
  bool include_stop = false;
  std::uint32_t fold = 0;  ///< counts how often the text was begun; pieces of an older one come back and are dropped
};

struct answer_piece {
  request_id request;
  std::vector<token_id> tokens;
  bool last = false;  ///< nothing follows: give what was held back
  std::uint32_t fold = 0;
};

/// The tokens of one step, for all requests of this router.
struct decode {
  std::vector<answer_piece> pieces;
};

struct decoded_piece {
  request_id request;
  std::uint32_t tokens = 0;  ///< how many of the tokens given the text stands for; fewer than given only when stopped
  std::string text;          ///< whole characters; nothing that could still become a stop string
  bool last = false;         ///< as asked
  bool stopped = false;      ///< a stop string matched; the request's state is closed
  std::string error;         ///< the tokens could not be decoded
  std::uint32_t fold = 0;    ///< as given
};

struct text_decoded {
  std::vector<decoded_piece> pieces;
};

struct close_text {
  request_id request;
};

// ---- router <-> scheduler_rank ---------------------------------------------------------------------------------

struct abort_request {
  troupe::epoch epoch;
  request_id request;
  std::uint64_t cluster = 0;
};

/// A request with the epoch of the group it is meant for.
struct enqueue {
  troupe::epoch epoch;
  generation_request request;
  std::uint64_t cluster = 0;
  bool promised = false;  ///< its client was told that it is accepted: it is not refused for the load
};

enum class trial_stage : std::uint8_t {
  begins,  ///< nothing else is under way in the group; the request runs once the router has answered true
  over,    ///< passed or ended; others run again once the router has answered
};

/// Rank 0 asks before and after a suspect runs alone, so that the router can tell whose fault a crash in between is.
struct trial {
  std::string group;
  troupe::epoch epoch;
  request_id request;
  trial_stage stage = trial_stage::begins;
};

/// What one step gave to the requests of one router.
struct tokens_sampled {
  std::string group;
  troupe::epoch epoch;
  std::vector<request_update> updates;
  std::uint64_t cluster = 0;
};

// ---- rank <-> node <-> topology: see topology/node_state.hpp and topology/cluster_view.hpp
// ---------------------------

/// The engine has joined its group and holds its shard.
struct engine_started {
  troupe::epoch epoch;
  load_report report;
  std::uint64_t cluster = 0;
};

struct rank_exited {
  std::string device;
  std::uint64_t incarnation = 0;
  loss_cause cause = loss_cause::crashed;
  std::string reason;
};

/// A node asks the topology actor for its lease, again and again: it may go on for lease after the moment it asked.
struct renew_lease {
  std::string node;
  std::uint64_t boot = 0;
  std::uint64_t sequence = 0;  ///< of the asking, so that the answer names the moment
};

/// It is granted to a node that acts on this revision of the view, or on a later one.
struct lease_renewed {
  std::uint64_t sequence = 0;
  std::uint64_t revision = 0;
};

/// A node lets its rank go on. Times are of the steady clock that the processes of a machine share.
struct hold_lease {
  troupe::epoch epoch;
  std::uint64_t cluster = 0;
  std::int64_t until_ns = 0;
};

/// An operator takes a node or group out of use, or back into it.
struct drain_place {
  std::string name;
  bool undo = false;
};

/// An operator wants a place tried again at once.
struct restart_rank {
  std::string place;  ///< NODE/DEVICE:INDEX
};

/// An operator gives the running cluster another topology file.
struct change_topology {
  change_kind kind = change_kind::add;
  std::string text;
};

/// The topology file in force is another one than the node was started with.
struct topology_changed {
  std::string text;
};

/// Key-value exchange through which communicators of several hosts find each other; keys carry group and epoch.
struct put_value {
  std::string key;
  std::string value;
};

struct get_value {
  std::string key;
};

/// Asks for the router of a node.
struct find_router {};

/// Asks the first node for the topology actor.
struct find_topology {};

/// No new requests; answered when the accepted ones have ended.
struct drain {};

struct get_status {};

struct get_group_statistics {
  std::string group;
};

// ---- node <-> node: `troupe doctor` ----------------------------------------------------------------------------

/// A node of the topology file is to be reached from the node that is asked.
struct probe_node {
  std::string node;
  std::uint32_t rounds = 200;              ///< of small messages, for the round trip; at most probe_rounds_max
  std::uint32_t parcels = 32;              ///< of parcel_bytes each, for the bandwidth; at most probe_parcels_max
  std::uint32_t parcel_bytes = 1U << 18U;  ///< at most probe_bytes_max
};
inline constexpr std::uint32_t probe_rounds_max = 1000;
inline constexpr std::uint32_t probe_parcels_max = 256;
inline constexpr std::uint32_t probe_bytes_max = 1U << 20U;

/// Bytes that are sent back; at most probe_bytes_max of them.
struct echo {
  std::string payload;
};

/// What `echo` is answered with: who answers, and as many bytes as came.
struct echoed {
  std::string node;
  std::string version;
  std::int32_t protocol = 0;
  std::uint64_t fingerprint = 0;  ///< of its topology file
  std::uint64_t model_hash = 0;
  std::string payload;
};

/// How one node reaches another. Round trips are timed by one clock, so clocks need not agree.
struct probe_report {
  std::string from;
  std::string to;
  bool reached = false;
  std::string problem;  ///< when not reached
  echoed peer;          ///< without payload
  std::uint32_t rounds = 0;
  std::uint64_t round_trip_p50_us = 0;
  std::uint64_t round_trip_p99_us = 0;
  std::uint64_t bytes = 0;     ///< there and back
  std::uint64_t bytes_us = 0;  ///< the time they took
};

// ---- status ----------------------------------------------------------------------------------------------------

/// Where a group's time went; counted by its rank 0 while work was pending.
struct group_statistics {
  fence_counts fenced;             ///< messages that were not of this epoch
  std::uint64_t lease_pauses = 0;  ///< how often it stopped for want of a lease
  std::uint64_t steps = 0;
  std::uint64_t tokens_planned = 0;
  std::uint64_t tokens_sampled = 0;
  std::uint64_t active_us = 0;  ///< time with at least one step planned and not done
  std::uint64_t busy_us = 0;    ///< time inside the executor of the rank that samples
  scheduler_stats scheduler;
};

struct router_status {
  std::uint64_t live = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t stale_dropped = 0;
  std::uint64_t moved = 0;         ///< submitted to another epoch or group after a loss
  std::uint64_t resumed = 0;       ///< taken up by a client that held a part already
  std::uint64_t trials = 0;        ///< suspects that ran alone
  std::uint64_t poisoned = 0;      ///< ended because they crashed a group twice
  std::uint64_t inconsistent = 0;  ///< delivered positions that came with another token
  bool draining = false;
  std::vector<group_load> loads;  ///< live requests by group; an empty name: those that wait for one
};

/// What `troupe status` shows of one node.
struct node_status {
  std::string node;
  std::string version;
  std::string model;
  std::uint32_t context_tokens = 0;
  cluster_view view;
  router_status router;
};

template <class I>
bool inspect(I& f, accepted& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("prompt_tokens", x.prompt_tokens),
                            f.field("model", x.model));
}
template <class I>
bool inspect(I& f, answer& x) {
  return f.object(x).fields(f.field("ticket", x.ticket), f.field("request", x.request), f.field("event", x.event));
}
template <class I>
bool inspect(I& f, cancel& x) {
  return f.object(x).fields(f.field("request", x.request));
}
template <class I>
bool inspect(I& f, grant& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("answers", x.answers));
}
template <class I>
bool inspect(I& f, acknowledge& x) {
  return f.object(x).fields(f.field("request", x.request));
}
template <class I>
bool inspect(I& f, held_answer& x) {
  return f.object(x).fields(f.field("tokens", x.tokens), f.field("text_bytes", x.text_bytes));
}
template <class I>
bool inspect(I& f, tokenize& x) {
  return f.object(x).fields(f.field("prompt", x.prompt));
}
template <class I>
bool inspect(I& f, tokenized& x) {
  return f.object(x).fields(f.field("tokens", x.tokens));
}
template <class I>
bool inspect(I& f, open_text& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("stop_strings", x.stop_strings),
                            f.field("include_stop", x.include_stop), f.field("fold", x.fold));
}
template <class I>
bool inspect(I& f, answer_piece& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("fold", x.fold), f.field("tokens", x.tokens),
                            f.field("last", x.last));
}
template <class I>
bool inspect(I& f, decode& x) {
  return f.object(x).fields(f.field("pieces", x.pieces));
}
template <class I>
bool inspect(I& f, decoded_piece& x) {
  return f.object(x).fields(f.field("request", x.request), f.field("fold", x.fold), f.field("tokens", x.tokens),
                            f.field("text", x.text), f.field("last", x.last), f.field("stopped", x.stopped),
                            f.field("error", x.error));
}
template <class I>
bool inspect(I& f, text_decoded& x) {
  return f.object(x).fields(f.field("pieces", x.pieces));
}
template <class I>
bool inspect(I& f, close_text& x) {
  return f.object(x).fields(f.field("request", x.request));
}
template <class I>
bool inspect(I& f, abort_request& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("request", x.request), f.field("cluster", x.cluster));
}
template <class I>
bool inspect(I& f, enqueue& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("request", x.request), f.field("cluster", x.cluster),
                            f.field("promised", x.promised));
}
template <class I>
bool inspect(I& f, trial_stage& x) {
  return inspect_phase(f, x, trial_stage::over);
}
template <class I>
bool inspect(I& f, trial& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("epoch", x.epoch), f.field("request", x.request),
                            f.field("stage", x.stage));
}
template <class I>
bool inspect(I& f, tokens_sampled& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("epoch", x.epoch), f.field("updates", x.updates),
                            f.field("cluster", x.cluster));
}
template <class I>
bool inspect(I& f, engine_started& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("report", x.report), f.field("cluster", x.cluster));
}
template <class I>
bool inspect(I& f, rank_exited& x) {
  return f.object(x).fields(f.field("device", x.device), f.field("incarnation", x.incarnation),
                            f.field("cause", x.cause), f.field("reason", x.reason));
}
template <class I>
bool inspect(I& f, renew_lease& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("boot", x.boot), f.field("sequence", x.sequence));
}
template <class I>
bool inspect(I& f, lease_renewed& x) {
  return f.object(x).fields(f.field("sequence", x.sequence), f.field("revision", x.revision));
}
template <class I>
bool inspect(I& f, hold_lease& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("cluster", x.cluster), f.field("until_ns", x.until_ns));
}
template <class I>
bool inspect(I& f, drain_place& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("undo", x.undo));
}
template <class I>
bool inspect(I& f, restart_rank& x) {
  return f.object(x).fields(f.field("place", x.place));
}
template <class I>
bool inspect(I& f, change_kind& x) {
  return inspect_phase(f, x, change_kind::remove);
}
template <class I>
bool inspect(I& f, change_topology& x) {
  return f.object(x).fields(f.field("kind", x.kind), f.field("text", x.text));
}
template <class I>
bool inspect(I& f, topology_changed& x) {
  return f.object(x).fields(f.field("text", x.text));
}
template <class I>
bool inspect(I& f, put_value& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("value", x.value));
}
template <class I>
bool inspect(I& f, get_value& x) {
  return f.object(x).fields(f.field("key", x.key));
}
template <class I>
bool inspect(I& f, find_router& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, find_topology& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, drain& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, get_status& x) {
  return f.object(x).fields();
}
template <class I>
bool inspect(I& f, get_group_statistics& x) {
  return f.object(x).fields(f.field("group", x.group));
}
template <class I>
bool inspect(I& f, group_statistics& x) {
  return f.object(x).fields(f.field("steps", x.steps), f.field("tokens_planned", x.tokens_planned),
                            f.field("tokens_sampled", x.tokens_sampled), f.field("active_us", x.active_us),
                            f.field("busy_us", x.busy_us), f.field("scheduler", x.scheduler),
                            f.field("fenced", x.fenced), f.field("lease_pauses", x.lease_pauses));
}
template <class I>
bool inspect(I& f, router_status& x) {
  return f.object(x).fields(f.field("live", x.live), f.field("accepted", x.accepted), f.field("refused", x.refused),
                            f.field("completed", x.completed), f.field("failed", x.failed),
                            f.field("cancelled", x.cancelled), f.field("stale_dropped", x.stale_dropped),
                            f.field("moved", x.moved), f.field("resumed", x.resumed), f.field("trials", x.trials),
                            f.field("poisoned", x.poisoned), f.field("inconsistent", x.inconsistent),
                            f.field("draining", x.draining), f.field("loads", x.loads));
}
template <class I>
bool inspect(I& f, node_status& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("version", x.version), f.field("model", x.model),
                            f.field("context_tokens", x.context_tokens), f.field("view", x.view),
                            f.field("router", x.router));
}

template <class I>
bool inspect(I& f, probe_node& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("rounds", x.rounds), f.field("parcels", x.parcels),
                            f.field("parcel_bytes", x.parcel_bytes));
}
template <class I>
bool inspect(I& f, echo& x) {
  return f.object(x).fields(f.field("payload", x.payload));
}
template <class I>
bool inspect(I& f, echoed& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("version", x.version), f.field("protocol", x.protocol),
                            f.field("fingerprint", x.fingerprint), f.field("model_hash", x.model_hash),
                            f.field("payload", x.payload));
}
template <class I>
bool inspect(I& f, probe_report& x) {
  return f.object(x).fields(
      f.field("from", x.from), f.field("to", x.to), f.field("reached", x.reached), f.field("problem", x.problem),
      f.field("peer", x.peer), f.field("rounds", x.rounds), f.field("round_trip_p50_us", x.round_trip_p50_us),
      f.field("round_trip_p99_us", x.round_trip_p99_us), f.field("bytes", x.bytes), f.field("bytes_us", x.bytes_us));
}

}  // namespace troupe
