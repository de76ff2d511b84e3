// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/serving.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "actors/detokenizer.hpp"
#include "actors/node.hpp"
#include "actors/node_bootstrap_store.hpp"
#include "actors/router.hpp"
#include "actors/tokenizer.hpp"
#include "actors/topology.hpp"
#include "apps/troupe/version.hpp"
#include "runtime/collective/group_communicators.hpp"
#include "runtime/engine/model_executor.hpp"
#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model.hpp"
#include "topology/fence.hpp"

namespace troupe {
namespace {

std::uint64_t random_number() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

/// What can be had without swapping: the kernel's own estimate, which counts the page cache as free.
std::uint64_t free_memory_bytes() {
  std::ifstream file{"/proc/meminfo"};
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib >> unit;)
    if (key == "MemAvailable:") return kib * 1024;
  return static_cast<std::uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Spares count: they may have to compute beside all others.
std::uint32_t threads_of(const cluster_file& file, const std::string& node) {
  if (file.engine.threads != 0) return file.engine.threads;
  std::uint32_t ranks = 0;
  auto count = [&](const rank_place& place) {
    if (place.node == node && place.device.kind == rank_device_kind::cpu) ++ranks;
  };
  for (const auto& group : file.groups)
    std::for_each(group.ranks.begin(), group.ranks.end(), count);
  std::for_each(file.spares.begin(), file.spares.end(), count);
  return std::max(1U, std::thread::hardware_concurrency() / std::max(1U, ranks));
}

bool on_one_node(const group_view& view) {
  return std::all_of(view.members.begin(), view.members.end(),
                     [&](const group_member& member) { return member.node == view.members.front().node; });
}

scheduler_options scheduling_of(const cluster_file& file, const model_bundle& model) {
  scheduler_options options;
  options.context_length = model.context_tokens;
  options.max_sequences = file.engine.max_sequences;
  options.max_batch_tokens = file.engine.max_batch_tokens;
  options.max_queue = file.engine.max_queue;
  options.eos_ids = model.config.eos_ids;
  return options;
}

shard shard_of(std::uint32_t tensor, std::uint32_t pipeline, std::uint32_t rank) {
  return {rank % tensor, tensor, rank / tensor, pipeline};
}

communicator_options communicators_of(const cluster_file& file, const std::string& node, std::uint32_t rank,
                                      const group_view& view) {
  communicator_options options;
  options.kind = on_one_node(view) ? communicator_kind::shared_memory : communicator_kind::gloo;
  options.name = file.cluster + "/" + view.name + "/" + std::to_string(view.epoch);
  options.rank = static_cast<int>(rank);
  options.size = static_cast<int>(view.members.size());
  options.deadline = std::chrono::milliseconds(file.collective_timeout_ms);
  options.join_deadline = std::chrono::seconds(file.startup_timeout_s);
  options.address = file.find_node(node)->cluster.host;
  return options;
}

/// A line for every tenth of the way, so that a long load is seen to go on.
load_progress log_progress() {
  return [told = std::uint64_t{0}](std::uint64_t done, std::uint64_t total) mutable {
    auto tenth = total == 0 ? 10 : done * 10 / total;
    if (tenth > told) spdlog::info("weights-loading percent={} bytes={}", tenth * 10, done);
    told = std::max(told, tenth);
  };
}

/// What a rank computes follows from the view that takes it into an epoch: its shard, its communicators.
executor_factory make_factory(caf::actor_system& system, const cluster_file& file, const std::string& name,
                              const std::string& device, const model_bundle& model, const node_actor& node) {
  return [&system, file, name, device, model, node](const group_view& view) -> std::unique_ptr<executor> {
    const auto rank = view.find_member(name, device)->rank;
    node_bootstrap_store store{system, node};
    auto links = make_group_communicators(communicators_of(file, name, rank, view), static_cast<int>(view.tensor),
                                          static_cast<int>(view.pipeline), store);
    engine_options options;
    options.threads = threads_of(file, name);
    options.block_tokens = file.engine.block_tokens;
    options.kv_blocks = static_cast<std::uint32_t>(file.engine.kv_blocks);
    options.kv_bytes = file.engine.kv_memory_bytes;
    options.batch_tokens_max = file.engine.max_batch_tokens;
    return std::make_unique<model_executor>(open_model(model.source), shard_of(view.tensor, view.pipeline, rank),
                                            std::move(links), options);
  };
}

/// The bytes of a rank's weights, KV cache and activations, and a sentence when its KV cache would hold no block.
struct rank_bytes {
  memory_plan plan;
  std::uint64_t blocks = 0;
  double all() const {
    return static_cast<double>(plan.weight_bytes + plan.activation_bytes + blocks * plan.kv_bytes_per_block);
  }
};

rank_bytes bytes_of(const cluster_file& file, const model_config& config, const shard& part) {
  rank_bytes out;
  out.plan = plan_memory(config, part, file.engine.block_tokens, file.engine.max_batch_tokens);
  out.blocks = file.engine.kv_blocks != 0 ? file.engine.kv_blocks : out.plan.blocks_in(file.engine.kv_memory_bytes);
  return out;
}

/// What the largest rank of a shape needs.
double largest_rank(const cluster_file& file, const model_config& config, std::uint32_t tensor,
                    std::uint32_t pipeline) {
  double most = 0;
  for (std::uint32_t rank = 0; rank < tensor * pipeline; ++rank)
    most = std::max(most, bytes_of(file, config, shard_of(tensor, pipeline, rank)).all());
  return most;
}

}  // namespace

void check_served(const cluster_file& file) {
  // What was to be protected must not be served in the clear instead.
  if (file.tls)
    throw std::invalid_argument(
        "tls: TLS between nodes is not built yet; use loopback addresses, or leave tls out and give --insecure in a "
        "network where all are trusted");
  auto check = [](const std::string& where, const rank_place& place) {
    if (place.device.kind == rank_device_kind::cuda)
      throw std::invalid_argument(
          fmt::format("{}: {}: this build has no CUDA engine; use a cpu device, for example {}/cpu:0", where,
                      to_string(place), place.node));
  };
  for (const auto& group : file.groups) {
    if (group.mode == group_mode::replicated)
      throw std::invalid_argument(
          fmt::format("group {}: mode replicated is not built yet; use mode sharded", group.name));
    for (const auto& place : group.ranks)
      check("group " + group.name, place);
  }
  for (const auto& place : file.spares)
    check("spares", place);
}

void plan_node_memory(const cluster_file& file, const model_bundle& model, const std::string& node) {
  constexpr double mib = 1024.0 * 1024.0;
  double needed = 0;
  for (const auto& group : file.groups) {
    for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
      if (group.ranks[rank].node != node) continue;
      auto bytes = bytes_of(file, model.config, shard_of(group.tensor, group.pipeline, rank));
      const auto& plan = bytes.plan;
      if (bytes.blocks == 0)
        throw std::invalid_argument(
            fmt::format("engine.kv_memory of {:.2f} MiB holds no block: one of {} tokens takes {:.2f} MiB on rank {} "
                        "of group {}; give more kv_memory or smaller block_tokens",
                        static_cast<double>(file.engine.kv_memory_bytes) / mib, file.engine.block_tokens,
                        static_cast<double>(plan.kv_bytes_per_block) / mib, rank, group.name));
      spdlog::info(
          "memory-planned group={} rank={} device={} weights={:.1f}MiB kv={:.1f}MiB blocks={} activations={:.1f}MiB",
          group.name, rank, to_string(group.ranks[rank].device), static_cast<double>(plan.weight_bytes) / mib,
          static_cast<double>(bytes.blocks * plan.kv_bytes_per_block) / mib, bytes.blocks,
          static_cast<double>(plan.activation_bytes) / mib);
      needed += bytes.all();
    }
  }
  double spare = 0;
  for (const auto& group : file.groups)
    spare = std::max(spare, largest_rank(file, model.config, group.tensor, group.pipeline));
  for (const auto& place : file.spares) {
    if (place.node != node) continue;
    spdlog::info("memory-planned spare={} in_all={:.1f}MiB", to_string(place), spare / mib);
    needed += spare;
  }
  auto free = static_cast<double>(free_memory_bytes());
  if (needed <= free) return;
  throw std::invalid_argument(fmt::format(
      "the ranks of node {} need {:.0f} MiB and {:.0f} MiB are free; make engine.kv_memory smaller or use more nodes",
      node, needed / mib, free / mib));
}

void serving::start() const { caf::anon_send(node, begin{topology}); }

void serving::stop() const {
  for (const auto& actor : all)
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

serving spawn_serving(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                      const std::string& node, std::shared_ptr<rank_launcher> launcher,
                      std::shared_ptr<generation_store> generations) {
  std::vector<tokenizer_actor> tokenizers;
  for (unsigned i = 0; i < std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U); ++i)
    tokenizers.push_back(system.spawn<tokenizer_impl>(model.text));
  auto detokenizer = system.spawn<detokenizer_impl>(model.text->vocabulary());

  router_options routing;
  routing.node = node;
  routing.model = model.facts();
  routing.first_request = random_number() >> 1U << 20U;
  serving result;
  for (const auto& worker : tokenizers)
    result.all.push_back(caf::actor_cast<caf::actor>(worker));
  result.all.push_back(caf::actor_cast<caf::actor>(detokenizer));
  result.router = system.spawn<router_impl>(std::move(tokenizers), std::move(detokenizer), std::move(routing));

  node_options options;
  options.name = node;
  options.version = version;
  options.boot = random_number();
  options.model_hash = model.hash;
  options.model = model.name;
  options.context_tokens = model.context_tokens;
  if (system.has_middleman()) options.network = system.middleman().actor_handle();
  result.node = system.spawn<node_impl>(file, std::move(options), std::move(launcher), result.router);
  if (file.nodes.front().name == node) {
    membership_options membership;
    membership.version = version;
    membership.shape = shape_of(model.config);
    membership.need = [file, config = model.config](std::uint32_t shards, std::uint32_t stages) {
      return static_cast<std::uint64_t>(largest_rank(file, config, shards, stages));
    };
    auto check = [shape = membership.shape](const cluster_file& changed) {
      check_served(changed);
      for (const auto& group : changed.groups)
        plan_shards(group, shape);
    };
    result.topology = system.spawn<topology_impl>(file, std::move(membership),
                                                  topology_surroundings{std::move(generations), std::move(check)});
  }
  result.all.push_back(caf::actor_cast<caf::actor>(result.router));
  result.all.push_back(caf::actor_cast<caf::actor>(result.node));
  if (result.topology) result.all.push_back(caf::actor_cast<caf::actor>(result.topology));
  return result;
}

rank_recipe make_rank_recipe(caf::actor_system& system, cluster_file file, std::string name, model_bundle model,
                             load_progress progress) {
  if (!progress) progress = log_progress();
  return [&system, file = std::move(file), name = std::move(name), model = std::move(model),
          progress = std::move(progress)](const rank_start& start, const node_actor& node) {
    rank_parts parts;
    auto& options = parts.options;
    options.identity.node = name;
    options.identity.device = start.device;
    options.identity.incarnation = start.incarnation;
    options.identity.process = static_cast<std::uint64_t>(getpid());
    options.identity.free_memory_bytes = free_memory_bytes();
    options.cluster = cluster_id(file);
    if (system.has_middleman()) options.network = system.middleman().actor_handle();
    options.scheduler = scheduling_of(file, model);
    // In one process the ranks have each other's handles.
    auto own_process = file.isolation == isolation_mode::process;
    if (own_process || file.nodes.size() > 1) options.publish_at = file.find_node(name)->cluster.host;
    parts.progress = progress;
    parts.make_executor = make_factory(system, file, name, start.device, model, node);
    return parts;
  };
}

}  // namespace troupe
