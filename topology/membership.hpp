// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "topology/cluster_file.hpp"

namespace troupe {

/// A rank process as its node sees it.
enum class rank_phase : std::uint8_t {
  launching,  ///< started, not heard of yet
  present,    ///< runs, holds nothing, belongs to no epoch
  starting,   ///< joins its group and loads its shard, for `epoch`
  started,    ///< ready to run steps of `epoch`
  failed,     ///< cannot go on; `message` says why
};

/// Why a rank, and with it an epoch of its group, ended.
enum class loss_cause : std::uint8_t {
  none,
  crashed,      ///< by itself: a signal of its own doing, an error of its engine
  hung,         ///< work was pending and its engine made no progress
  killed,       ///< from outside: SIGKILL, an operator
  unreachable,  ///< its node, or the connection to it, is gone
};

/// Where an actor of another process is found. Port 0: inside its node's own process.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const endpoint&, const endpoint&) = default;
};

struct rank_state {
  std::string group;
  std::uint32_t rank = 0;
  std::uint64_t incarnation = 0;  ///< grows with every start of this rank on its node
  rank_phase phase = rank_phase::launching;
  std::uint64_t epoch = 0;  ///< 0 until it has joined one
  endpoint door;
  std::uint64_t process = 0;            ///< process id
  std::uint64_t free_memory_bytes = 0;  ///< on its device before loading
  std::uint64_t weight_bytes = 0;       ///< once started
  std::uint64_t kv_bytes = 0;           ///< once started
  std::uint32_t blocks = 0;             ///< once started
  std::uint32_t block_tokens = 0;       ///< once started
  loss_cause cause = loss_cause::none;  ///< once failed
  std::string message;
  friend bool operator==(const rank_state&, const rank_state&) = default;
};

/// What a node tells the topology actor, again and again.
struct node_state {
  std::string cluster;
  std::string node;
  std::uint64_t boot = 0;  ///< random, one for each start of the node
  std::string version;
  std::uint64_t fingerprint = 0;  ///< of the topology file's content
  std::uint64_t model_hash = 0;   ///< of config, tensor names, shapes and sizes
  bool draining = false;
  std::vector<rank_state> ranks;
};

enum class group_phase : std::uint8_t {
  gathering,  ///< waits for its ranks
  starting,   ///< ranks join and load
  serving,
  failed,  ///< did not come up within the bounds; `message` says why
};

struct group_member {
  std::uint32_t rank = 0;
  std::string node;
  std::string device;  ///< as the file names it, for example cpu:0
  std::uint64_t incarnation = 0;
  std::uint64_t process = 0;  ///< process id on its node
  endpoint door;
  friend bool operator==(const group_member&, const group_member&) = default;
};

/// An epoch that is over. Requests that ran in it are suspects when the cause is crashed or hung.
struct epoch_end {
  std::uint64_t epoch = 0;
  loss_cause cause = loss_cause::none;
  friend bool operator==(const epoch_end&, const epoch_end&) = default;
};

inline constexpr std::size_t epoch_ends_max = 8;

struct group_view {
  std::string name;
  std::uint64_t epoch = 0;
  group_phase phase = group_phase::gathering;
  std::vector<group_member> members;  ///< by rank; complete in starting and serving
  std::uint32_t blocks = 0;           ///< the least of its ranks, in serving
  std::uint32_t block_tokens = 0;
  std::vector<epoch_end> ended;  ///< the last epochs of this group, oldest first; at most epoch_ends_max
  std::string message;           ///< what is waited for, or why it failed
  friend bool operator==(const group_view&, const group_view&) = default;
};

struct node_view {
  std::string name;
  bool present = false;
  std::string message;
  friend bool operator==(const node_view&, const node_view&) = default;
};

/// What the topology actor tells every node, again and again: the whole truth, not a change.
struct cluster_view {
  std::string cluster;
  std::uint64_t revision = 0;  ///< grows with every change
  std::vector<node_view> nodes;
  std::vector<group_view> groups;
};

struct membership_options {
  std::string version;
  std::uint64_t fingerprint = 0;
  std::uint64_t generation = 1;  ///< high half of every epoch; never used by an earlier start of the topology actor
  std::chrono::milliseconds node_timeout{3000};  ///< a node not heard of for so long is gone
  std::chrono::milliseconds load_timeout{600'000};
  int restarts = 3;  ///< of a group, before it is failed
  /// How long a new topology actor waits for the other ranks of a group that served before it, to let it serve on.
  std::chrono::milliseconds adoption_grace{2000};
};

/// Decides who is in the cluster and which group may serve in which epoch. A plain state machine: what nodes report
/// goes in, the view to announce comes out; `now` is any steady clock.
class membership {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  membership(cluster_file file, membership_options options, time_point now);

  /// Takes a node's report. Returns why the node is refused, or an empty string.
  std::string observe(const node_state& state, time_point now);

  /// Why a node that has reported is refused, as far as advance has found; empty when it is not.
  std::string refusal(const std::string& node) const;

  /// The connection to a node was lost: do not wait for its timeout.
  void lose(const std::string& node);

  /// Applies what has been observed and the passage of time. True when the view has changed.
  bool advance(time_point now);

  const cluster_view& view() const { return view_; }

 private:
  struct known_node {
    node_state state;
    time_point seen;
    std::string refusal;
  };
  struct loss {
    loss_cause cause = loss_cause::none;  ///< none: all members are well
    std::string message;
  };
  struct group_record {
    time_point since;  ///< of the present phase
    int restarts = 0;
  };

  const rank_state* find_rank(const group_spec& group, std::uint32_t rank) const;
  bool adopt(const group_spec& group, group_view& view, group_record& record, time_point now);
  void gather(const group_spec& group, group_view& view, group_record& record, time_point now);
  void set_members(const group_spec& group, group_view& view) const;
  void finish_start(const group_spec& group, group_view& view, group_record& record, time_point now);
  void start(const group_spec& group, group_view& view, group_record& record, time_point now);
  void serve(const group_spec& group, group_view& view, group_record& record, time_point now);
  void fence(group_view& view, group_record& record, loss why, time_point now);
  std::string missing_members(const group_spec& group) const;
  std::string unequal_memory(const group_spec& group) const;
  loss lost_member(const group_spec& group, const group_view& view) const;
  void refresh_nodes(time_point now);

  cluster_file file_;
  membership_options options_;
  cluster_view view_;
  std::map<std::string, known_node> nodes_;
  std::map<std::string, group_record> groups_;
  std::uint64_t epochs_ = 0;  ///< given out so far
};

std::string to_string(rank_phase x);
std::string to_string(group_phase x);
std::string to_string(loss_cause x);

template <class Inspector, class Enum>
bool inspect_phase(Inspector& f, Enum& x, Enum last) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x, last](std::uint8_t value) {
    if (value > static_cast<std::uint8_t>(last)) return false;
    x = static_cast<Enum>(value);
    return true;
  };
  return f.apply(get, set);
}
template <class I>
bool inspect(I& f, rank_phase& x) {
  return inspect_phase(f, x, rank_phase::failed);
}
template <class I>
bool inspect(I& f, group_phase& x) {
  return inspect_phase(f, x, group_phase::failed);
}
template <class I>
bool inspect(I& f, loss_cause& x) {
  return inspect_phase(f, x, loss_cause::unreachable);
}
template <class I>
bool inspect(I& f, epoch_end& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("cause", x.cause));
}
template <class I>
bool inspect(I& f, endpoint& x) {
  return f.object(x).fields(f.field("host", x.host), f.field("port", x.port));
}
template <class I>
bool inspect(I& f, rank_state& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("rank", x.rank), f.field("incarnation", x.incarnation),
                            f.field("phase", x.phase), f.field("epoch", x.epoch), f.field("door", x.door),
                            f.field("process", x.process), f.field("free_memory_bytes", x.free_memory_bytes),
                            f.field("weight_bytes", x.weight_bytes), f.field("kv_bytes", x.kv_bytes),
                            f.field("blocks", x.blocks), f.field("block_tokens", x.block_tokens),
                            f.field("cause", x.cause), f.field("message", x.message));
}
template <class I>
bool inspect(I& f, node_state& x) {
  return f.object(x).fields(f.field("cluster", x.cluster), f.field("node", x.node), f.field("boot", x.boot),
                            f.field("version", x.version), f.field("fingerprint", x.fingerprint),
                            f.field("model_hash", x.model_hash), f.field("draining", x.draining),
                            f.field("ranks", x.ranks));
}
template <class I>
bool inspect(I& f, group_member& x) {
  return f.object(x).fields(f.field("rank", x.rank), f.field("node", x.node), f.field("device", x.device),
                            f.field("incarnation", x.incarnation), f.field("process", x.process),
                            f.field("door", x.door));
}
template <class I>
bool inspect(I& f, group_view& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("epoch", x.epoch), f.field("phase", x.phase),
                            f.field("members", x.members), f.field("blocks", x.blocks),
                            f.field("block_tokens", x.block_tokens), f.field("ended", x.ended),
                            f.field("message", x.message));
}
template <class I>
bool inspect(I& f, node_view& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("present", x.present), f.field("message", x.message));
}
template <class I>
bool inspect(I& f, cluster_view& x) {
  return f.object(x).fields(f.field("cluster", x.cluster), f.field("revision", x.revision), f.field("nodes", x.nodes),
                            f.field("groups", x.groups));
}

}  // namespace troupe
