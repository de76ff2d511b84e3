// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/serving.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "actors/detokenizer.hpp"
#include "actors/fault_injector.hpp"
#include "actors/network.hpp"
#include "actors/node.hpp"
#include "actors/node_bootstrap_store.hpp"
#include "actors/rank_injector.hpp"
#include "actors/router.hpp"
#include "actors/tokenizer.hpp"
#include "actors/topology.hpp"
#include "actors/trace_keeper.hpp"
#include "actors/trace_notes.hpp"
#include "apps/troupe/version.hpp"
#include "runtime/collective/group_communicators.hpp"
#include "runtime/collective/nccl.hpp"
#include "runtime/collective/watched_communicator.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/engine/model_executor.hpp"
#include "runtime/engine/scripted_executor.hpp"
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
  options.max_wait_ms = file.engine.max_wait_ms;
  options.eos_ids = model.config.eos_ids;
  return options;
}

progress_watch_options patience_of(const cluster_file& file) {
  progress_watch_options options;
  options.hang_timeout = std::chrono::milliseconds(file.engine.hang_timeout_ms);
  options.first_step_timeout = 10 * options.hang_timeout;
  options.load_timeout = std::max<std::chrono::milliseconds>(
      options.load_timeout, 2 * std::chrono::milliseconds(std::chrono::seconds(file.startup_timeout_s)));
  options.wait_timeout = std::chrono::milliseconds(file.collective_timeout_ms) + options.hang_timeout;
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

/// An engine without weights, for rehearsals: every rank steps at the file's pace and agrees on every token.
std::unique_ptr<executor> make_scripted(const cluster_file& file, bool samples, const model_bundle& model,
                                        std::shared_ptr<progress_counter> progress) {
  scripted_options options;
  options.progress = std::move(progress);
  options.vocabulary_size = model.config.vocabulary_size;
  options.positions_max = model.context_tokens;
  options.block_tokens = file.engine.block_tokens;
  if (file.engine.kv_blocks != 0) options.blocks = static_cast<std::uint32_t>(file.engine.kv_blocks);
  options.batch_tokens_max = file.engine.max_batch_tokens;
  options.samples = samples;
  options.before_step = [pace = *file.scripted_step](const step_plan&) { std::this_thread::sleep_for(pace); };
  return std::make_unique<scripted_executor>(std::move(options));
}

/// Of this user; empty where there is none.
std::string cache_folder() {
  if (const auto* folder = std::getenv("XDG_CACHE_HOME"); folder && *folder) return folder + std::string{"/troupe"};
  if (const auto* home = std::getenv("HOME"); home && *home) return home + std::string{"/.cache/troupe"};
  return {};
}

/// One part of a group, over NCCL; null where the part is the rank alone.
std::unique_ptr<device_communicator> join_part(communicator_options group, const std::string& name, std::uint32_t rank,
                                               std::uint32_t size, bootstrap_store& store, std::size_t device) {
  if (size == 1) return nullptr;
  group.name += "/" + name;
  group.rank = static_cast<int>(rank);
  group.size = static_cast<int>(size);
  const auto begin = std::chrono::steady_clock::now();
  auto joined = make_nccl_communicator(group, store, device);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  spdlog::info("nccl-joined group={} rank={} of={} took={}ms", group.name, rank, size, took.count());
  return joined;
}

/// The shards of a stage add up on their devices, and stages pass on there what they have done.
cuda_links join_devices(const communicator_options& group, const group_view& view, group_communicators host,
                        bootstrap_store& store, std::size_t device) {
  cuda_links links;
  links.host = std::move(host);
  if (view.tensor * view.pipeline == 1) return links;
  links.deadline = group.deadline;
  const auto shard = static_cast<std::uint32_t>(group.rank) % view.tensor;
  const auto stage = static_cast<std::uint32_t>(group.rank) / view.tensor;
  // The same order on all ranks, so that nobody waits in one part for somebody who waits in the other.
  links.tensor = join_part(group, fmt::format("stage{}", stage), shard, view.tensor, store, device);
  links.pipeline = join_part(group, fmt::format("shard{}", shard), stage, view.pipeline, store, device);
  return links;
}

/// What a rank computes follows from the view that takes it into an epoch: its shard, its communicators.
executor_factory make_factory(caf::actor_system& system, const cluster_file& file, const std::string& name,
                              const std::string& device, const model_bundle& model, const node_actor& node,
                              std::shared_ptr<progress_counter> progress) {
  return [&system, file, name, device, model, node, progress](const group_view& view) -> std::unique_ptr<executor> {
    const auto rank = view.find_member(name, device)->rank;
    if (file.scripted_step) return make_scripted(file, rank == view.sampling_rank(), model, progress);
    node_bootstrap_store store{system, node};
    auto joining = communicators_of(file, name, rank, view);
    joining.progress = progress;
    auto links =
        make_group_communicators(joining, static_cast<int>(view.tensor), static_cast<int>(view.pipeline), store);
    const auto silent = joining.kind == communicator_kind::gloo;
    links.tensor = std::make_unique<watched_communicator>(std::move(links.tensor), progress, silent);
    links.pipeline = std::make_unique<watched_communicator>(std::move(links.pipeline), progress, silent);
    engine_options options;
    options.progress = progress;
    options.threads = threads_of(file, name);
    options.block_tokens = file.engine.block_tokens;
    options.kv_blocks = static_cast<std::uint32_t>(file.engine.kv_blocks);
    options.kv_bytes = file.engine.kv_memory_bytes;
    options.batch_tokens_max = file.engine.max_batch_tokens;
    options.cache_folder = cache_folder();
    options.tell = [](const std::string& line) { spdlog::info("{}", line); };
    constexpr std::string_view cuda = "cuda:";
    if (device.starts_with(cuda)) {
      const auto index = std::stoul(device.substr(cuda.size()));
      return make_cuda_executor(open_model(model.source), shard_of(view.tensor, view.pipeline, rank),
                                join_devices(joining, view, std::move(links), store, index), options, index);
    }
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

topology_actor spawn_topology(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                              std::shared_ptr<generation_store> generations, tracer trace) {
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
  return system.spawn<topology_impl>(file, std::move(membership),
                                     topology_surroundings{std::move(generations), std::move(check), std::move(trace)});
}

local_service_factories services_of(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                                    const std::string& node, const std::shared_ptr<generation_store>& generations,
                                    const tracer& trace) {
  local_service_factories make;
  make.tokenizers = std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U);
  make.make_tokenizer = [&system, text = model.text] { return system.spawn<tokenizer_impl>(text); };
  make.make_detokenizer = [&system, text = model.text] { return system.spawn<detokenizer_impl>(text->vocabulary()); };
  make.make_router = [&system, node, facts = model.facts(), trace](const text_actors& text) {
    router_options routing;
    routing.node = node;
    routing.model = facts;
    routing.trace = trace;
    routing.first_request = random_number() >> 1U << 20U;
    return system.spawn<router_impl>(text.tokenizers, text.detokenizer, std::move(routing));
  };
  if (file.nodes.front().name != node) return make;
  make.make_topology = [&system, file, model, generations, trace] {
    return spawn_topology(system, file, model, generations, trace);
  };
  return make;
}

fault_injector_actor spawn_injector(caf::actor_system& system, const cluster_file& file, const std::string& node,
                                    const std::shared_ptr<local_services>& services, const serving_extras& extras) {
  fault_injector_options options;
  options.node = node;
  options.first = file.nodes.front().name == node;
  for (const auto& other : file.nodes)
    if (other.name != node && other.cluster.port != 0) options.node_ports.insert(other.cluster.port);
  options.find_actor = [services = std::weak_ptr(services)](fault_role role) -> caf::actor {
    auto known = services.lock();
    return known ? known->find(to_string(role)) : caf::actor{};
  };
  options.actions = extras.faults;
  options.trace = tracer{extras.recorder};
  return system.spawn<fault_injector_impl>(std::move(options));
}

}  // namespace

void check_served(const cluster_file& file) {
  auto check = [](const std::string& where, const rank_place& place) {
    if (place.device.kind == rank_device_kind::cuda && !cuda_is_built())
      throw std::invalid_argument(
          fmt::format("{}: {}: this build has no CUDA engine; use a cpu device, for example {}/cpu:0", where,
                      to_string(place), place.node));
  };
  for (const auto& group : file.groups) {
    if (group.mode == group_mode::replicated)
      throw std::invalid_argument(
          fmt::format("group {}: mode replicated is not built yet; use mode sharded", group.name));
    for (const auto& place : group.ranks) {
      check("group " + group.name, place);
      if (place.device.kind != rank_device_kind::cuda) continue;
      if (group.ranks.size() > 1 && !nccl_is_available())
        throw std::invalid_argument(
            fmt::format("group {}: this build has no NCCL, which {} ranks on CUDA devices need; install it and build "
                        "again with ./dev build cuda, or give each device a group of its own",
                        group.name, group.ranks.size()));
    }
  }
  for (const auto& place : file.spares)
    check("spares", place);
}

void plan_node_memory(const cluster_file& file, const model_bundle& model, const std::string& node) {
  if (file.scripted_step) return;
  constexpr double mib = 1024.0 * 1024.0;
  double needed = 0;
  for (const auto& group : file.groups) {
    for (std::uint32_t rank = 0; rank < group.ranks.size(); ++rank) {
      if (group.ranks[rank].node != node) continue;
      // A CUDA rank plans with its device's own memory when it loads.
      if (group.ranks[rank].device.kind == rank_device_kind::cuda) continue;
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

void serving::stop() const { caf::anon_send_exit(node, caf::exit_reason::user_shutdown); }

serving spawn_serving(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                      const std::string& node, std::shared_ptr<rank_launcher> launcher,
                      std::shared_ptr<generation_store> generations, const serving_extras& extras) {
  node_options options;
  options.name = node;
  options.version = version;
  options.boot = random_number();
  options.model_hash = model.hash;
  options.model = model.name;
  options.context_tokens = model.context_tokens;
  options.network = network_of(system);
  options.trace = tracer{extras.recorder};
  if (!generations) generations = std::make_shared<memory_generation_store>();
  options.services =
      std::make_shared<local_services>(services_of(system, file, model, node, generations, options.trace));
  if (extras.recorder)
    options.traces = system.spawn<trace_keeper_impl, caf::detached>(
        trace_keeper_options{node, extras.flight_folder, extras.recorder});
  if (file.allow_faults) options.faults = spawn_injector(system, file, node, options.services, extras);
  serving result;
  result.router = options.services->router();
  result.topology = options.services->topology();
  result.node = system.spawn<node_impl>(file, std::move(options), std::move(launcher), result.router);
  return result;
}

rank_recipe make_rank_recipe(caf::actor_system& system, cluster_file file, std::string name, model_bundle model,
                             load_progress progress, const serving_extras& extras) {
  if (!progress) progress = log_progress();
  return [&system, file = std::move(file), name = std::move(name), model = std::move(model),
          progress = std::move(progress), extras](const rank_start& start, const node_actor& node) {
    rank_parts parts;
    auto& options = parts.options;
    options.identity.node = name;
    options.identity.device = start.device;
    options.identity.incarnation = start.incarnation;
    options.identity.process = static_cast<std::uint64_t>(getpid());
    options.identity.free_memory_bytes = free_memory_bytes();
    options.cluster = cluster_id(file);
    options.network = network_of(system);
    options.scheduler = scheduling_of(file, model);
    // In one process the ranks have each other's handles.
    auto own_process = file.isolation == isolation_mode::process;
    if (own_process || file.nodes.size() > 1) options.publish_at = file.find_node(name)->cluster.host;
    auto counter = std::make_shared<progress_counter>();
    options.progress = counter;
    options.hang = patience_of(file);
    parts.progress = [counter, progress](std::uint64_t done, std::uint64_t total) {
      counter->advance();
      progress(done, total);
    };
    parts.make_executor = make_factory(system, file, name, start.device, model, node, counter);
    tracer trace{extras.recorder};
    if (file.allow_faults) parts = with_faults(system, node, std::move(parts), extras.faults, trace);
    return with_trace(std::move(parts), trace);
  };
}

}  // namespace troupe
