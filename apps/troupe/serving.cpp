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
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/engine/model_executor.hpp"
#include "runtime/model/memory_plan.hpp"
#include "runtime/model/model.hpp"

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

/// Seconds since 2020: greater at every start, as epochs need it.
std::uint64_t generation_now() {
  constexpr std::uint64_t seconds_until_2020 = 1'577'836'800;
  return static_cast<std::uint64_t>(
             std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                 .count()) -
         seconds_until_2020;
}

const group_spec& find_group(const cluster_file& file, const std::string& name) {
  return *std::find_if(file.groups.begin(), file.groups.end(), [&](const group_spec& g) { return g.name == name; });
}

std::uint32_t threads_of(const cluster_file& file, const std::string& node) {
  if (file.engine.threads != 0) return file.engine.threads;
  std::uint32_t ranks = 0;
  for (const auto& group : file.groups)
    for (const auto& place : group.ranks)
      if (place.node == node && place.device.kind == rank_device_kind::cpu) ++ranks;
  return std::max(1U, std::thread::hardware_concurrency() / std::max(1U, ranks));
}

bool on_one_node(const group_spec& group) {
  return std::all_of(group.ranks.begin(), group.ranks.end(),
                     [&](const rank_place& place) { return place.node == group.ranks.front().node; });
}

scheduler_options scheduling_of(const cluster_file& file, const group_spec& group, const model_bundle& model) {
  scheduler_options options;
  options.context_length = model.context_tokens;
  options.max_sequences = file.engine.max_sequences;
  options.max_batch_tokens = file.engine.max_batch_tokens;
  options.max_queue = file.engine.max_queue;
  options.eos_ids = model.config.eos_ids;
  // One stage: plan a step ahead. Several: a micro-batch for each stage and one that waits.
  options.feed_sampled = group.pipeline == 1;
  options.plans_in_flight = group.pipeline == 1 ? 2 : group.pipeline + 1;
  return options;
}

shard shard_of(const group_spec& group, std::uint32_t rank) {
  return {rank % group.tensor, group.tensor, rank / group.tensor, group.pipeline};
}

communicator_options communicators_of(const cluster_file& file, const group_spec& group, std::uint32_t rank,
                                      const group_view& view) {
  communicator_options options;
  options.kind = on_one_node(group) ? communicator_kind::shared_memory : communicator_kind::gloo;
  options.name = file.cluster + "/" + group.name + "/" + std::to_string(view.epoch);
  options.rank = static_cast<int>(rank);
  options.size = static_cast<int>(group.ranks.size());
  options.deadline = std::chrono::milliseconds(file.collective_timeout_ms);
  options.join_deadline = std::chrono::seconds(file.startup_timeout_s);
  options.address = file.find_node(group.ranks[rank].node)->cluster.host;
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

executor_factory make_factory(caf::actor_system& system, const cluster_file& file, const group_spec& group,
                              std::uint32_t rank, const model_bundle& model, const node_actor& node) {
  return [&system, file, group, rank, model, node](const group_view& view) -> std::unique_ptr<executor> {
    node_bootstrap_store store{system, node};
    auto links = make_group_communicators(communicators_of(file, group, rank, view), static_cast<int>(group.tensor),
                                          static_cast<int>(group.pipeline), store);
    engine_options options;
    options.threads = threads_of(file, group.ranks[rank].node);
    options.block_tokens = file.engine.block_tokens;
    options.kv_blocks = static_cast<std::uint32_t>(file.engine.kv_blocks);
    options.kv_bytes = file.engine.kv_memory_bytes;
    options.batch_tokens_max = file.engine.max_batch_tokens;
    const auto& device = group.ranks[rank].device;
    if (device.kind == rank_device_kind::cuda)
      return make_cuda_executor(open_model(model.source), shard_of(group, rank), std::move(links), options,
                                device.index);
    return std::make_unique<model_executor>(open_model(model.source), shard_of(group, rank), std::move(links), options);
  };
}

}  // namespace

void check_served(const cluster_file& file) {
  // What was to be protected must not be served in the clear instead.
  if (file.tls)
    throw std::invalid_argument(
        "tls: TLS between nodes is not built yet; use loopback addresses, or leave tls out and give --insecure in a "
        "network where all are trusted");
  for (const auto& group : file.groups) {
    if (group.mode == group_mode::replicated)
      throw std::invalid_argument(
          fmt::format("group {}: mode replicated is not built yet; use mode sharded", group.name));
    for (const auto& place : group.ranks) {
      if (place.device.kind != rank_device_kind::cuda) continue;
      if (!cuda_is_built())
        throw std::invalid_argument(
            fmt::format("group {}: {}: this build has no CUDA engine; use a cpu device, for example {}/cpu:0",
                        group.name, to_string(place), place.node));
      if (group.ranks.size() > 1)
        throw std::invalid_argument(
            fmt::format("group {}: {} ranks on CUDA devices: a group of several is not built yet; give each device a "
                        "group of its own",
                        group.name, group.ranks.size()));
    }
  }
}

void plan_node_memory(const cluster_file& file, const model_bundle& model, const std::string& node) {
  constexpr double mib = 1024.0 * 1024.0;
  double needed = 0;
  for (const auto& group : file.groups) {
    for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
      if (group.ranks[rank].node != node) continue;
      // A CUDA rank plans with its device's own memory when it loads.
      if (group.ranks[rank].device.kind == rank_device_kind::cuda) continue;
      auto plan =
          plan_memory(model.config, shard_of(group, rank), file.engine.block_tokens, file.engine.max_batch_tokens);
      auto blocks = file.engine.kv_blocks != 0 ? file.engine.kv_blocks : plan.blocks_in(file.engine.kv_memory_bytes);
      if (blocks == 0)
        throw std::invalid_argument(
            fmt::format("engine.kv_memory of {:.2f} MiB holds no block: one of {} tokens takes {:.2f} MiB on rank {} "
                        "of group {}; give more kv_memory or smaller block_tokens",
                        static_cast<double>(file.engine.kv_memory_bytes) / mib, file.engine.block_tokens,
                        static_cast<double>(plan.kv_bytes_per_block) / mib, rank, group.name));
      auto kv_bytes = static_cast<double>(blocks * plan.kv_bytes_per_block);
      spdlog::info(
          "memory-planned group={} rank={} device={} weights={:.1f}MiB kv={:.1f}MiB blocks={} activations={:.1f}MiB",
          group.name, rank, to_string(group.ranks[rank].device), static_cast<double>(plan.weight_bytes) / mib,
          kv_bytes / mib, blocks, static_cast<double>(plan.activation_bytes) / mib);
      needed += static_cast<double>(plan.weight_bytes + plan.activation_bytes) + kv_bytes;
    }
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
                      const std::string& node, std::shared_ptr<rank_launcher> launcher) {
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
    membership.fingerprint = file.fingerprint;
    membership.generation = generation_now();
    result.topology = system.spawn<topology_impl>(file, std::move(membership));
  }
  result.all.push_back(caf::actor_cast<caf::actor>(result.router));
  result.all.push_back(caf::actor_cast<caf::actor>(result.node));
  if (result.topology) result.all.push_back(caf::actor_cast<caf::actor>(result.topology));
  return result;
}

rank_recipe make_rank_recipe(caf::actor_system& system, cluster_file file, model_bundle model, load_progress progress) {
  if (!progress) progress = log_progress();
  return [&system, file = std::move(file), model = std::move(model), progress = std::move(progress)](
             const rank_start& start, const node_actor& node) {
    const auto& group = find_group(file, start.group);
    rank_parts parts;
    auto& options = parts.options;
    options.identity.group = start.group;
    options.identity.rank = start.rank;
    options.identity.incarnation = start.incarnation;
    options.identity.process = static_cast<std::uint64_t>(getpid());
    options.identity.free_memory_bytes = free_memory_bytes();
    if (system.has_middleman()) options.network = system.middleman().actor_handle();
    options.sampling_rank = (group.pipeline - 1) * group.tensor;
    options.scheduler = scheduling_of(file, group, model);
    // In one process the ranks have each other's handles.
    auto own_process = file.isolation == isolation_mode::process;
    if (own_process || file.nodes.size() > 1)
      options.publish_at = file.find_node(group.ranks[start.rank].node)->cluster.host;
    parts.progress = progress;
    parts.make_executor = make_factory(system, file, group, start.rank, model, node);
    return parts;
  };
}

}  // namespace troupe
