// SPDX-License-Identifier: Apache-2.0
// What a node tells the topology actor, again and again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// The rank of a place as its node sees it.
enum class rank_phase : std::uint8_t {
  launching,  ///< started, not heard of yet
  present,    ///< runs, holds nothing, belongs to no epoch
  starting,   ///< joins its group and loads its shard, for `epoch`
  started,    ///< ready to run steps of `epoch`
  failed,     ///< cannot go on; `message` says why. Its node ends it
  ended,      ///< nothing runs there; it is started again at once
  delayed,    ///< nothing runs there; it is started again after a while
  down,       ///< nothing runs there; it was started too often, and waits for an operator or for ten minutes
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

/// A place (a device of a node, from the file's groups or spares) and the rank that runs there. Which group's rank it
/// is follows from the view that takes it into an epoch, and it belongs to one epoch in its life.
struct rank_state {
  std::string node;
  std::string device;             ///< as the file names it, for example cpu:0
  std::uint64_t incarnation = 0;  ///< grows with every start of this place by one start of its node
  rank_phase phase = rank_phase::launching;
  std::uint64_t epoch = 0;  ///< 0 until it has joined one
  std::string group;        ///< what it serves in `epoch`, as which rank, in which shape
  std::uint32_t rank = 0;
  std::uint32_t tensor = 0;
  std::uint32_t pipeline = 0;
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

/// Requests of one node's router that a group has.
struct group_load {
  std::string group;
  std::uint64_t live = 0;
  friend bool operator==(const group_load&, const group_load&) = default;
};

/// The greatest epoch of a group that a node has been told of, begun or ended.
struct heard_epoch {
  std::string group;
  std::uint64_t epoch = 0;
  bool served = false;  ///< the group, in this epoch or one before it
  friend bool operator==(const heard_epoch&, const heard_epoch&) = default;
};

struct node_state {
  std::string cluster;
  std::string node;
  std::uint64_t boot = 0;  ///< random, one for each start of the node
  std::string version;
  std::uint64_t fingerprint = 0;   ///< of the topology file's content
  std::uint64_t model_hash = 0;    ///< of config, tensor names, shapes and sizes
  bool draining = false;           ///< it is being stopped
  std::uint64_t revision = 0;      ///< of the view that it and its router act on
  std::vector<heard_epoch> heard;  ///< from here a topology actor learns what the one before it, or its disk, knew
  std::vector<rank_state> ranks;
  std::vector<group_load> loads;  ///< of this node's router
};

std::string to_string(rank_phase x);
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
  return inspect_phase(f, x, rank_phase::down);
}
template <class I>
bool inspect(I& f, loss_cause& x) {
  return inspect_phase(f, x, loss_cause::unreachable);
}
template <class I>
bool inspect(I& f, endpoint& x) {
  return f.object(x).fields(f.field("host", x.host), f.field("port", x.port));
}
template <class I>
bool inspect(I& f, rank_state& x) {
  return f.object(x).fields(
      f.field("node", x.node), f.field("device", x.device), f.field("incarnation", x.incarnation),
      f.field("phase", x.phase), f.field("epoch", x.epoch), f.field("group", x.group), f.field("rank", x.rank),
      f.field("tensor", x.tensor), f.field("pipeline", x.pipeline), f.field("door", x.door),
      f.field("process", x.process), f.field("free_memory_bytes", x.free_memory_bytes),
      f.field("weight_bytes", x.weight_bytes), f.field("kv_bytes", x.kv_bytes), f.field("blocks", x.blocks),
      f.field("block_tokens", x.block_tokens), f.field("cause", x.cause), f.field("message", x.message));
}
template <class I>
bool inspect(I& f, group_load& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("live", x.live));
}
template <class I>
bool inspect(I& f, heard_epoch& x) {
  return f.object(x).fields(f.field("group", x.group), f.field("epoch", x.epoch), f.field("served", x.served));
}
template <class I>
bool inspect(I& f, node_state& x) {
  return f.object(x).fields(
      f.field("cluster", x.cluster), f.field("node", x.node), f.field("boot", x.boot), f.field("version", x.version),
      f.field("fingerprint", x.fingerprint), f.field("model_hash", x.model_hash), f.field("draining", x.draining),
      f.field("revision", x.revision), f.field("heard", x.heard), f.field("ranks", x.ranks), f.field("loads", x.loads));
}

}  // namespace troupe
