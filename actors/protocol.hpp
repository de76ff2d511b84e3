// SPDX-License-Identifier: Apache-2.0
// The map of the system: who answers what, in the order of a request's way.
#pragma once

#include <vector>

#include <caf/all.hpp>

#include "actors/fault_messages.hpp"
#include "actors/messages.hpp"
#include "actors/trace_messages.hpp"

namespace troupe {

/// ANSWER SINK: a client's end of its requests; the client makes it.
using answer_sink_actor = caf::typed_actor<
    // A piece of an answer; the client gives a credit back with `grant` when it can take another.
    caf::result<void>(answer)>;

/// What a client sends to have something generated.
struct submit {
  std::uint64_t ticket = 0;  ///< unequal for each request of one sink
  generation what;
  answer_sink_actor sink;
  std::uint32_t credit = 32;  ///< answers the sink takes before its first `grant`
  request_key key{};          ///< the client's name for the request everywhere; none: it cannot be asked for again
  bool keep = false;          ///< with a key: the client may come back, so its loss does not end the request at once
  held_answer have{};         ///< what the client holds already; nothing of it is sent again
  bool promised = false;      ///< some router has accepted it before: it is not refused for the load
};

struct serving_groups;
struct text_actors;

/// ROUTER: owns a request from accept to last token.
using router_actor = caf::typed_actor<
    // Accepts a request, or says why not. A key that is known attaches the new sink to the request there is.
    caf::result<accepted>(submit),
    // The client wants no more of a request.
    caf::result<void>(cancel),
    // The client can take more of a request.
    caf::result<void>(grant),
    // The client has the end of a request.
    caf::result<void>(acknowledge),
    // A step of a group gave something to requests of this router.
    caf::result<void>(tokens_sampled),
    // A group is about to run a suspect of this router alone, or has; false: nobody waits for the request any more.
    caf::result<bool>(trial),
    // Which groups serve, in which epoch; from the node, again and again.
    caf::result<void>(serving_groups),
    // Who turns text into tokens and back from now on; from the node, when one of them was replaced.
    caf::result<void>(text_actors),
    // Accepts nothing more; answered when every request has ended.
    caf::result<void>(drain),
    // Counters for status and metrics.
    caf::result<router_status>(get_status)>;

/// RESUMER: a program's own agent towards the routers of a cluster. To its clients it is a router that is never lost.
using resumer_actor = caf::typed_actor<
    // As a router does; what is asked outlives the router that is asked.
    caf::result<accepted>(submit), caf::result<void>(cancel), caf::result<void>(grant),
    // From whichever router has the request.
    caf::result<void>(answer)>;

/// TOKENIZER (a pool of them): text and chat messages to token ids.
using tokenizer_actor = caf::typed_actor<
    // The ids of a prompt, or text_failed / invalid_request.
    caf::result<tokenized>(tokenize)>;

/// DETOKENIZER: token ids to whole characters and stop strings; its state is a fold of the router's tokens.
using detokenizer_actor = caf::typed_actor<
    // Makes the state of a request, or makes it again from nothing.
    caf::result<void>(open_text),
    // The tokens of a step; answered with their text in the same order.
    caf::result<text_decoded>(decode),
    // Forgets a request.
    caf::result<void>(close_text)>;

/// The actors of its node that a router has text done by.
struct text_actors {
  std::vector<tokenizer_actor> tokenizers;
  detokenizer_actor detokenizer;
};

/// SCHEDULER RANK: rank 0 decides what its group does in each step; the others check the plan and pass it on.
struct join_group;
using scheduler_rank_actor = caf::typed_actor<
    // Admits a request, or says why not. Only on rank 0 of a serving group.
    caf::result<void>(enqueue),
    // Ends a request; its blocks come back after the step that uses them.
    caf::result<void>(abort_request),
    // What the group does next, from rank 0.
    caf::result<void>(step_plan),
    // What the engine, or the rank that samples, got from a step.
    caf::result<void>(step_result),
    // The group as the topology actor sees it, from the node, again and again.
    caf::result<void>(join_group),
    // The engine of this rank has joined and loaded.
    caf::result<void>(engine_started),
    // The rank may go on in its epoch until then; from the node, again and again.
    caf::result<void>(hold_lease),
    // Where this group's time goes; only rank 0 counts.
    caf::result<group_statistics>(get_status)>;

/// Takes a rank into a group's epoch.
struct join_group {
  group_view view;
  std::vector<scheduler_rank_actor> local;  ///< by rank; null for the ranks that live in other processes
  std::int64_t lease_until_ns = 0;          ///< as in hold_lease
};

/// A group that takes requests.
struct serving_group {
  std::string name;
  troupe::epoch epoch;
  scheduler_rank_actor leader;
  bool local = false;  ///< led from the router's own machine
  std::uint64_t cluster = 0;
  bool draining = false;  ///< new requests go elsewhere; those it has end there
  bool full = true;       ///< its shape is the file's: a request resumed there is bit-exact, else a continuation
};

/// All groups that take requests now.
struct serving_groups {
  std::vector<serving_group> groups;
  std::vector<epoch_end> ended;  ///< the last epochs of all groups, whatever ended them
  std::string why;               ///< no group serves, when none does
  bool cut_off = false;   ///< the node holds no lease: what it knows may be old, and new requests go to another node
  bool draining = false;  ///< the node is taken out of use: new requests go to another node
};

/// ENGINE RANK: owns device, weights shard, KV memory and communicators; runs steps on its own thread.
using engine_rank_actor = caf::typed_actor<
    // Joins the communicators of an epoch and loads the shard; engine_started follows. It ends when it cannot.
    caf::result<void>(group_view),
    // Runs a step; step_result follows. It ends when it cannot.
    caf::result<void>(step_plan),
    // From itself while steps are under way.
    caf::result<void>(caf::tick_atom)>;

/// A rank as it sees itself, told to its node again and again.
struct rank_reported {
  rank_state state;
  scheduler_rank_actor self;
};

struct node_reported;

/// TOPOLOGY: who is in the cluster, which group may serve in which epoch.
using topology_actor = caf::typed_actor<
    // From every node; the error says why it is refused.
    caf::result<void>(node_reported),
    // From every node ten times a second; lease_renewed follows.
    caf::result<void>(renew_lease),
    // From operators, by way of a node.
    caf::result<void>(drain_place), caf::result<void>(restart_rank), caf::result<void>(change_topology),
    // Values through which communicators find each other; they are forgotten with their epoch.
    caf::result<void>(put_value), caf::result<std::string>(get_value)>;

/// Lets a node begin, once it is published; the first node gets the topology actor, the others look for it.
struct begin {
  topology_actor topology;
};

/// NODE: the supervisor of one machine, and the door that clients and other machines knock at.
using node_actor = caf::typed_actor<
    // From the program that made it.
    caf::result<void>(begin),
    // From a rank of this machine.
    caf::result<void>(rank_reported),
    // From whatever launched a rank of this machine.
    caf::result<void>(rank_exited),
    // The whole truth about the cluster, from the topology actor, again and again.
    caf::result<void>(cluster_view),
    // The lease asked for is granted.
    caf::result<void>(lease_renewed),
    // Another topology file is in force.
    caf::result<void>(topology_changed),
    // From operators; passed on to the topology actor, and a restart by it to the node of the place.
    caf::result<void>(drain_place), caf::result<void>(restart_rank), caf::result<void>(change_topology),
    // Clients ask for the router, other nodes for the topology actor.
    caf::result<router_actor>(find_router), caf::result<topology_actor>(find_topology),
    // Ranks of several machines meet through the topology actor; get waits until there is a value.
    caf::result<void>(put_value), caf::result<std::string>(get_value),
    // What `troupe status` shows.
    caf::result<node_status>(get_status),
    // Where a group's time goes.
    caf::result<group_statistics>(get_group_statistics),
    // How this node reaches another; and the other's side of it.
    caf::result<probe_report>(probe_node), caf::result<echoed>(echo),
    // What `troupe trace` shows, and what it needs to find all of it.
    caf::result<trace_answer>(get_trace), caf::result<clock_reading>(read_clock), caf::result<known_nodes>(find_nodes),
    // Breaks something of this node on purpose; an error where the topology file does not allow it.
    caf::result<std::uint64_t>(inject), caf::result<void>(rank_injector_ready), caf::result<fault_list>(list_faults),
    caf::result<void>(clear_faults),
    // Drains and ends: no new requests, the accepted ones end, the ranks stop.
    caf::result<void>(drain)>;

/// A node as it sees itself, told to the topology actor again and again.
struct node_reported {
  node_state state;
  node_actor self;
};

template <class I>
bool inspect(I& f, submit& x) {
  return f.object(x).fields(f.field("ticket", x.ticket), f.field("what", x.what), f.field("sink", x.sink),
                            f.field("credit", x.credit), f.field("key", x.key), f.field("keep", x.keep),
                            f.field("have", x.have), f.field("promised", x.promised));
}
template <class I>
bool inspect(I& f, text_actors& x) {
  return f.object(x).fields(f.field("tokenizers", x.tokenizers), f.field("detokenizer", x.detokenizer));
}
template <class I>
bool inspect(I& f, serving_group& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("epoch", x.epoch), f.field("leader", x.leader),
                            f.field("local", x.local), f.field("cluster", x.cluster), f.field("draining", x.draining),
                            f.field("full", x.full));
}
template <class I>
bool inspect(I& f, serving_groups& x) {
  return f.object(x).fields(f.field("groups", x.groups), f.field("ended", x.ended), f.field("why", x.why),
                            f.field("cut_off", x.cut_off), f.field("draining", x.draining));
}
template <class I>
bool inspect(I& f, join_group& x) {
  return f.object(x).fields(f.field("view", x.view), f.field("local", x.local),
                            f.field("lease_until_ns", x.lease_until_ns));
}
template <class I>
bool inspect(I& f, begin& x) {
  return f.object(x).fields(f.field("topology", x.topology));
}
template <class I>
bool inspect(I& f, rank_reported& x) {
  return f.object(x).fields(f.field("state", x.state), f.field("self", x.self));
}
template <class I>
bool inspect(I& f, node_reported& x) {
  return f.object(x).fields(f.field("state", x.state), f.field("self", x.self));
}

}  // namespace troupe

// Ids are positions in this list and travel on the wire: append only, and count troupe::protocol_version up.
CAF_BEGIN_TYPE_ID_BLOCK(troupe, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(troupe, (troupe::errc))
CAF_ADD_TYPE_ID(troupe, (troupe::accepted))
CAF_ADD_TYPE_ID(troupe, (troupe::answer))
CAF_ADD_TYPE_ID(troupe, (troupe::cancel))
CAF_ADD_TYPE_ID(troupe, (troupe::grant))
CAF_ADD_TYPE_ID(troupe, (troupe::tokenize))
CAF_ADD_TYPE_ID(troupe, (troupe::tokenized))
CAF_ADD_TYPE_ID(troupe, (troupe::open_text))
CAF_ADD_TYPE_ID(troupe, (troupe::decode))
CAF_ADD_TYPE_ID(troupe, (troupe::text_decoded))
CAF_ADD_TYPE_ID(troupe, (troupe::close_text))
CAF_ADD_TYPE_ID(troupe, (troupe::enqueue))
CAF_ADD_TYPE_ID(troupe, (troupe::abort_request))
CAF_ADD_TYPE_ID(troupe, (troupe::step_plan))
CAF_ADD_TYPE_ID(troupe, (troupe::step_result))
CAF_ADD_TYPE_ID(troupe, (troupe::tokens_sampled))
CAF_ADD_TYPE_ID(troupe, (troupe::engine_started))
CAF_ADD_TYPE_ID(troupe, (troupe::rank_exited))
CAF_ADD_TYPE_ID(troupe, (troupe::put_value))
CAF_ADD_TYPE_ID(troupe, (troupe::get_value))
CAF_ADD_TYPE_ID(troupe, (troupe::begin))
CAF_ADD_TYPE_ID(troupe, (troupe::find_router))
CAF_ADD_TYPE_ID(troupe, (troupe::find_topology))
CAF_ADD_TYPE_ID(troupe, (troupe::drain))
CAF_ADD_TYPE_ID(troupe, (troupe::get_status))
CAF_ADD_TYPE_ID(troupe, (troupe::get_group_statistics))
CAF_ADD_TYPE_ID(troupe, (troupe::group_statistics))
CAF_ADD_TYPE_ID(troupe, (troupe::router_status))
CAF_ADD_TYPE_ID(troupe, (troupe::node_status))
CAF_ADD_TYPE_ID(troupe, (troupe::group_view))
CAF_ADD_TYPE_ID(troupe, (troupe::cluster_view))
CAF_ADD_TYPE_ID(troupe, (troupe::submit))
CAF_ADD_TYPE_ID(troupe, (troupe::serving_groups))
CAF_ADD_TYPE_ID(troupe, (troupe::join_group))
CAF_ADD_TYPE_ID(troupe, (troupe::rank_reported))
CAF_ADD_TYPE_ID(troupe, (troupe::node_reported))
CAF_ADD_TYPE_ID(troupe, (troupe::answer_sink_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::router_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::node_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::topology_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::scheduler_rank_actor))
CAF_ADD_TYPE_ID(troupe, (std::vector<troupe::scheduler_rank_actor>))
CAF_ADD_TYPE_ID(troupe, (troupe::acknowledge))
CAF_ADD_TYPE_ID(troupe, (troupe::trial))
CAF_ADD_TYPE_ID(troupe, (troupe::tokenizer_actor))
CAF_ADD_TYPE_ID(troupe, (std::vector<troupe::tokenizer_actor>))
CAF_ADD_TYPE_ID(troupe, (troupe::detokenizer_actor))
CAF_ADD_TYPE_ID(troupe, (troupe::text_actors))
CAF_ADD_TYPE_ID(troupe, (troupe::probe_node))
CAF_ADD_TYPE_ID(troupe, (troupe::probe_report))
CAF_ADD_TYPE_ID(troupe, (troupe::echo))
CAF_ADD_TYPE_ID(troupe, (troupe::echoed))
CAF_ADD_TYPE_ID(troupe, (troupe::renew_lease))
CAF_ADD_TYPE_ID(troupe, (troupe::lease_renewed))
CAF_ADD_TYPE_ID(troupe, (troupe::hold_lease))
CAF_ADD_TYPE_ID(troupe, (troupe::drain_place))
CAF_ADD_TYPE_ID(troupe, (troupe::restart_rank))
CAF_ADD_TYPE_ID(troupe, (troupe::change_topology))
CAF_ADD_TYPE_ID(troupe, (troupe::topology_changed))
CAF_ADD_TYPE_ID(troupe, (troupe::get_trace))
CAF_ADD_TYPE_ID(troupe, (troupe::trace_answer))
CAF_ADD_TYPE_ID(troupe, (troupe::read_clock))
CAF_ADD_TYPE_ID(troupe, (troupe::clock_reading))
CAF_ADD_TYPE_ID(troupe, (troupe::find_nodes))
CAF_ADD_TYPE_ID(troupe, (troupe::known_nodes))
CAF_ADD_TYPE_ID(troupe, (troupe::inject))
CAF_ADD_TYPE_ID(troupe, (troupe::inject_here))
CAF_ADD_TYPE_ID(troupe, (troupe::list_faults))
CAF_ADD_TYPE_ID(troupe, (troupe::fault_list))
CAF_ADD_TYPE_ID(troupe, (troupe::clear_faults))
CAF_ADD_TYPE_ID(troupe, (troupe::rank_injector_ready))
CAF_ADD_TYPE_ID(troupe, (troupe::rank_injector_actor))
CAF_END_TYPE_ID_BLOCK(troupe)

namespace troupe {
/// Members whose numbers differ refuse each other.
inline constexpr int protocol_version = 6;
}  // namespace troupe
