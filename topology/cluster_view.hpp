// SPDX-License-Identifier: Apache-2.0
// What the topology actor tells every node, again and again: the whole truth, not a change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/node_state.hpp"

namespace troupe {

enum class group_phase : std::uint8_t {
  gathering,  ///< waits for its ranks
  starting,   ///< ranks join and load
  serving,
  failed,   ///< cannot re-form now, and `message` says why; it goes on as soon as its places are back
  drained,  ///< taken out by an operator: it has no ranks and takes no requests
};

struct group_member {
  std::uint32_t rank = 0;
  std::string node;
  std::string device;      ///< as the file names it, for example cpu:0
  std::uint64_t boot = 0;  ///< of the node
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
  std::uint64_t cluster = 0;  ///< cluster_id; with `epoch` what every message of the group is stamped with
  std::uint64_t epoch = 0;
  group_phase phase = group_phase::gathering;
  std::uint32_t tensor = 1;  ///< of this epoch; smaller than the file's while places are missing
  std::uint32_t pipeline = 1;
  bool full = true;       ///< it has the file's shape: what it resumes is bit-exact, else a continuation
  bool draining = false;  ///< takes no new requests
  bool served = false;    ///< in this epoch or one before it, as far as anybody knows
  /// Its epoch lives on one node and no place elsewhere may take its ranks: nobody else can emit for it, so it serves
  /// on without a lease. Its next epoch begins once that node has confirmed the end of this one.
  bool rooted = false;
  std::vector<group_member> members;  ///< by rank; complete in starting and serving
  std::uint32_t blocks = 0;           ///< the least of its ranks, in serving
  std::uint32_t block_tokens = 0;
  std::vector<epoch_end> ended;  ///< the last epochs of this group, oldest first; at most epoch_ends_max
  std::string message;           ///< what is waited for, or why it failed
  friend bool operator==(const group_view&, const group_view&) = default;

  /// The rank whose results carry the sampled tokens: the first one of the last stage.
  std::uint32_t sampling_rank() const { return (pipeline - 1) * tensor; }
  /// The member at that place, or nullptr.
  const group_member* find_member(const std::string& node, const std::string& device) const {
    for (const auto& member : members)
      if (member.node == node && member.device == device) return &member;
    return nullptr;
  }
};

/// A place as an operator sees it.
struct place_view {
  std::string device;
  bool spare = false;  ///< from the file's spares
  rank_phase phase = rank_phase::ended;
  std::string message;
  friend bool operator==(const place_view&, const place_view&) = default;
};

struct node_view {
  std::string name;
  bool present = false;
  bool draining = false;  ///< no group is to use it, and its router takes no new requests
  std::string message;
  std::vector<place_view> places;
  friend bool operator==(const node_view&, const node_view&) = default;
};

/// What happened since the topology actor started.
struct membership_counts {
  std::uint64_t epochs = 0;               ///< begun
  std::uint64_t ends = 0;                 ///< epochs ended
  std::uint64_t lease_waits = 0;          ///< a lost member could not be confirmed gone; its lease was waited for
  std::uint64_t lease_waits_skipped = 0;  ///< all members of an ended epoch were confirmed gone in time
  std::uint64_t spares_used = 0;
  std::uint64_t shrinks = 0;
  std::uint64_t growths = 0;
  std::uint64_t generations_raised = 0;  ///< a greater generation than the stored one was heard of
};

struct cluster_view {
  std::string cluster;
  std::uint64_t revision = 0;     ///< grows with every change
  std::uint64_t generation = 0;   ///< of new epochs; 0: none could be stored yet, and nothing re-forms
  std::uint64_t fingerprint = 0;  ///< of the topology file in force
  std::vector<node_view> nodes;
  std::vector<group_view> groups;
  membership_counts counts;
  std::string alarm;  ///< what an operator has to mend; empty: nothing
};

std::string to_string(group_phase x);

template <class I>
bool inspect(I& f, group_phase& x) {
  return inspect_phase(f, x, group_phase::drained);
}
template <class I>
bool inspect(I& f, epoch_end& x) {
  return f.object(x).fields(f.field("epoch", x.epoch), f.field("cause", x.cause));
}
template <class I>
bool inspect(I& f, group_member& x) {
  return f.object(x).fields(f.field("rank", x.rank), f.field("node", x.node), f.field("device", x.device),
                            f.field("boot", x.boot), f.field("incarnation", x.incarnation),
                            f.field("process", x.process), f.field("door", x.door));
}
template <class I>
bool inspect(I& f, group_view& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("cluster", x.cluster), f.field("epoch", x.epoch),
                            f.field("phase", x.phase), f.field("tensor", x.tensor), f.field("pipeline", x.pipeline),
                            f.field("full", x.full), f.field("rooted", x.rooted), f.field("draining", x.draining),
                            f.field("served", x.served), f.field("members", x.members), f.field("blocks", x.blocks),
                            f.field("block_tokens", x.block_tokens), f.field("ended", x.ended),
                            f.field("message", x.message));
}
template <class I>
bool inspect(I& f, place_view& x) {
  return f.object(x).fields(f.field("device", x.device), f.field("spare", x.spare), f.field("phase", x.phase),
                            f.field("message", x.message));
}
template <class I>
bool inspect(I& f, node_view& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("present", x.present), f.field("draining", x.draining),
                            f.field("message", x.message), f.field("places", x.places));
}
template <class I>
bool inspect(I& f, membership_counts& x) {
  return f.object(x).fields(f.field("epochs", x.epochs), f.field("ends", x.ends), f.field("lease_waits", x.lease_waits),
                            f.field("lease_waits_skipped", x.lease_waits_skipped),
                            f.field("spares_used", x.spares_used), f.field("shrinks", x.shrinks),
                            f.field("growths", x.growths), f.field("generations_raised", x.generations_raised));
}
template <class I>
bool inspect(I& f, cluster_view& x) {
  return f.object(x).fields(f.field("cluster", x.cluster), f.field("revision", x.revision),
                            f.field("generation", x.generation), f.field("fingerprint", x.fingerprint),
                            f.field("nodes", x.nodes), f.field("groups", x.groups), f.field("counts", x.counts),
                            f.field("alarm", x.alarm));
}

}  // namespace troupe
