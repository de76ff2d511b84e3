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
#include "topology/membership.hpp"

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
};

/// A request with the epoch of the group it is meant for.
struct enqueue {
  troupe::epoch epoch;
  generation_request request;
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
};

// ---- rank <-> node <-> topology: see topology/membership.hpp for node_state, rank_state, cluster_view, group_view ---

/// The engine has joined its group and holds its shard.
struct engine_started {
  troupe::epoch epoch;
  load_report report;
};

struct rank_exited {
  std::string group;
  std::uint32_t rank = 0;
  std::uint64_t incarnation = 0;
  loss_cause cause = loss_cause::crashed;
  std::string reason;
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

// ---- status ----------------------------------------------------------------------------------------------------

/// Where a group's time went; counted by its rank 0 while work was pending.
struct group_statistics {
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
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("request", x.request));
}
template <class I>
bool inspect(I& f, enqueue& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("request", x.request));
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
  return f.object(x).fields(f.field("group", x.group), f.field("epoch", x.epoch), f.field("updates", x.updates));
}
template <class I>
bool inspect(I& f, engine_started& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("report", x.report));
}
template <class I>
bool inspect(I& f, rank_exited& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("rank", x.rank), f.field("incarnation", x.incarnation),
                            f.field("cause", x.cause), f.field("reason", x.reason));
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
                            f.field("busy_us", x.busy_us), f.field("scheduler", x.scheduler));
}
template <class I>
bool inspect(I& f, router_status& x) {
  return f.object(x).fields(f.field("live", x.live), f.field("accepted", x.accepted), f.field("refused", x.refused),
                            f.field("completed", x.completed), f.field("failed", x.failed),
                            f.field("cancelled", x.cancelled), f.field("stale_dropped", x.stale_dropped),
                            f.field("moved", x.moved), f.field("resumed", x.resumed), f.field("trials", x.trials),
                            f.field("poisoned", x.poisoned), f.field("inconsistent", x.inconsistent),
                            f.field("draining", x.draining));
}
template <class I>
bool inspect(I& f, node_status& x) {
  return f.object(x).fields(f.field("node", x.node), f.field("version", x.version), f.field("model", x.model),
                            f.field("context_tokens", x.context_tokens), f.field("view", x.view),
                            f.field("router", x.router));
}

}  // namespace troupe
