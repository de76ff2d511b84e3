// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_target.hpp"
#include "topology/cluster_file.hpp"
#include "topology/shard_plan.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    auto file = parse_cluster_file(as_text(data, size), "fuzz/topology.yaml", {});
    require(!file.nodes.empty() && !file.groups.empty());
    for (const auto& group : file.groups) {
      require(group.ranks.size() == std::size_t{group.tensor} * group.pipeline || group.mode != group_mode::sharded);
      for (const auto& place : group.ranks)
        require(file.find_node(place.node) != nullptr);
    }
  } catch (const cluster_file_error& error) {
    require(!error.problems().empty() && error.problems().size() <= 20);
  }
  return 0;
}
