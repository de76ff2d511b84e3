// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

struct cluster_file;

/// What every message between the members of a group names: the cluster it was sent in, and the group's epoch.
struct epoch_stamp {
  std::uint64_t cluster = 0;
  std::uint64_t epoch = 0;
};

enum class verdict : std::uint8_t {
  current,  ///< of this epoch: handle it
  stale,    ///< of an epoch that is over: refuse it
  ahead,    ///< of an epoch that is not known here yet: stop, and wait for the view that names it
  foreign,  ///< of another cluster, which had this port before or has it now: refuse it
};

/// Messages that were not current.
struct fence_counts {
  std::uint64_t stale = 0;
  std::uint64_t ahead = 0;
  std::uint64_t foreign = 0;
};

/// The one place that says whether a message is of its receiver's epoch. Nothing is current before an epoch was
/// entered, nor after a greater one was heard of. Incarnations are not compared: a member enters an epoch only if the
/// view names its incarnation, so whoever speaks in an epoch is one of its members.
class fence {
 public:
  explicit fence(std::uint64_t cluster) : cluster_(cluster) {}

  verdict judge(epoch_stamp stamp);

  /// This member belongs to `epoch` from now on. An epoch that is over cannot be entered: nothing changes.
  void enter(std::uint64_t epoch);

  /// True while messages of the epoch entered last are current.
  bool open() const { return epoch_ != 0 && epoch_ == highest_; }
  std::uint64_t cluster() const { return cluster_; }
  std::uint64_t epoch() const { return epoch_; }
  const fence_counts& counts() const { return counts_; }

 private:
  std::uint64_t cluster_;
  std::uint64_t epoch_ = 0;    ///< entered last
  std::uint64_t highest_ = 0;  ///< heard of
  fence_counts counts_;
};

/// Tells clusters apart that use the same machines: a hash of the cluster's name and its first node's door, which stay
/// when nodes and groups are added or removed.
std::uint64_t cluster_id(const cluster_file& file);

template <class I>
bool inspect(I& f, fence_counts& x) {
  return f.object(x).fields(f.field("stale", x.stale), f.field("ahead", x.ahead), f.field("foreign", x.foreign));
}

}  // namespace troupe
