// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "topology/cluster_file.hpp"
#include "topology/shard_plan.hpp"

namespace troupe {

struct rank_memory_figures {
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes_per_block = 0;
};

/// What one rank of a group needs; the engine's own figures, so that the plan does not promise what it cannot keep.
using rank_memory = std::function<rank_memory_figures(const group_spec&, const rank_shard&)>;

struct planned_rank {
  rank_shard shard;
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t kv_blocks = 0;
  std::uint32_t threads = 0;  ///< 0: no cpu rank
};

struct planned_group {
  std::string name;
  group_mode mode = group_mode::sharded;
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;
  std::uint64_t kv_tokens = 0;  ///< what the rank with the fewest blocks holds
  std::vector<planned_rank> ranks;
  std::vector<std::string> smaller;  ///< shapes it takes while places are missing, the largest first
};

/// What `troupe plan FILE` prints.
struct plan_report {
  std::string cluster;
  std::string model;
  std::vector<planned_group> groups;  ///< without those that cannot be split
  std::vector<std::string> spares;
  std::uint64_t spare_bytes = 0;      ///< of the largest rank that a spare may have to stand in for
  std::vector<std::string> wrong;     ///< it will not start; one sentence each, with the remedy
  std::vector<std::string> wasteful;  ///< it will start and could do better
};

/// `cores`: of the machine that plans, taken for every node's; 0: unknown, and then nothing is said about threads.
plan_report make_plan(const cluster_file& file, const model_shape& shape, const rank_memory& memory,
                      std::uint32_t cores);

/// For a person.
std::string format_plan(const plan_report& report);
/// For a program: one JSON object.
std::string format_plan_json(const plan_report& report);

}  // namespace troupe
