// SPDX-License-Identifier: Apache-2.0
#include "topology/fence.hpp"

#include <algorithm>
#include <string_view>

#include "topology/cluster_file.hpp"

namespace troupe {

verdict fence::judge(epoch_stamp stamp) {
  if (stamp.cluster != cluster_) {
    ++counts_.foreign;
    return verdict::foreign;
  }
  if (stamp.epoch > highest_ || (stamp.epoch == highest_ && !open())) {
    highest_ = stamp.epoch;
    ++counts_.ahead;
    return verdict::ahead;
  }
  if (stamp.epoch == epoch_ && open()) return verdict::current;
  ++counts_.stale;
  return verdict::stale;
}

void fence::enter(std::uint64_t epoch) {
  if (epoch < highest_) return;
  epoch_ = highest_ = epoch;
}

std::uint64_t cluster_id(const cluster_file& file) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  auto add = [&hash](std::string_view text) {
    for (auto c : text) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 0x100000001b3ULL;
    }
    hash *= 0x100000001b3ULL;  // as a zero byte would: "ab", "c" is not "a", "bc"
  };
  add(file.cluster);
  if (!file.nodes.empty()) {
    add(file.nodes.front().name);
    add(to_string(file.nodes.front().cluster));
  }
  return hash;
}

}  // namespace troupe
