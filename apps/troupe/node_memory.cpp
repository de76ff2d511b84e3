// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/node_memory.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "runtime/model/memory_plan.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {
namespace {

/// The bytes of a rank's weights, KV cache and activations, and a sentence when its KV cache would hold no block.
struct rank_bytes {
  memory_plan plan;
  std::uint64_t blocks = 0;
  std::uint64_t all() const { return plan.weight_bytes + plan.activation_bytes + blocks * plan.kv_bytes_per_block; }
};

double in_mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

rank_bytes bytes_of(const cluster_file& file, const model_config& config, const shard& part) {
  rank_bytes out;
  out.plan = plan_memory(config, part, file.engine.block_tokens, file.engine.max_batch_tokens);
  out.blocks = file.engine.kv_blocks != 0 ? file.engine.kv_blocks : out.plan.blocks_in(file.engine.kv_memory_bytes);
  return out;
}

}  // namespace

std::uint64_t free_memory_bytes() {
  std::ifstream file{"/proc/meminfo"};
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib >> unit;)
    if (key == "MemAvailable:") return kib * 1024;
  return static_cast<std::uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t largest_rank_bytes(const cluster_file& file, const model_config& config, std::uint32_t tensor,
                                 std::uint32_t pipeline) {
  std::uint64_t most = 0;
  for (std::uint32_t rank = 0; rank < tensor * pipeline; ++rank)
    most = std::max(most, bytes_of(file, config, shard_of_rank(rank, tensor, pipeline)).all());
  return most;
}

void plan_node_memory(const cluster_file& file, const model_bundle& model, const std::string& node) {
  if (file.scripted_step) return;
  std::uint64_t needed = 0;
  for (const auto& group : file.groups) {
    for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
      if (group.ranks[rank].node != node) continue;
      // A CUDA rank plans with its device's own memory when it loads.
      if (group.ranks[rank].device.kind == rank_device_kind::cuda) continue;
      auto bytes = bytes_of(file, model.config, shard_of_rank(rank, group.tensor, group.pipeline));
      const auto& plan = bytes.plan;
      if (bytes.blocks == 0)
        throw std::invalid_argument(
            fmt::format("engine.kv_memory of {:.2f} MiB holds no block: one of {} tokens takes {:.2f} MiB on rank {} "
                        "of group {}; give more kv_memory or smaller block_tokens",
                        in_mib(file.engine.kv_memory_bytes), file.engine.block_tokens, in_mib(plan.kv_bytes_per_block),
                        rank, group.name));
      spdlog::info(
          "memory-planned group={} rank={} device={} weights={:.1f}MiB kv={:.1f}MiB blocks={} activations={:.1f}MiB",
          group.name, rank, to_string(group.ranks[rank].device), in_mib(plan.weight_bytes),
          in_mib(bytes.blocks * plan.kv_bytes_per_block), bytes.blocks, in_mib(plan.activation_bytes));
      needed += bytes.all();
    }
  }
  std::uint64_t spare = 0;
  for (const auto& group : file.groups)
    spare = std::max(spare, largest_rank_bytes(file, model.config, group.tensor, group.pipeline));
  for (const auto& place : file.spares) {
    if (place.node != node) continue;
    spdlog::info("memory-planned spare={} in_all={:.1f}MiB", to_string(place), in_mib(spare));
    needed += spare;
  }
  const auto free = free_memory_bytes();
  if (needed <= free) return;
  throw std::invalid_argument(fmt::format(
      "the ranks of node {} need {:.0f} MiB and {:.0f} MiB are free; make engine.kv_memory smaller or use more nodes",
      node, in_mib(needed), in_mib(free)));
}

}  // namespace troupe
