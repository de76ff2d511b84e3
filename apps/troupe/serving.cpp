// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/serving.hpp"

#include <algorithm>
#include <chrono>
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
#include "actors/rank_injector.hpp"
#include "actors/router.hpp"
#include "actors/tokenizer.hpp"
#include "actors/topology.hpp"
#include "actors/trace_keeper.hpp"
#include "actors/trace_notes.hpp"
#include "apps/troupe/node_memory.hpp"
#include "apps/troupe/rank_engine.hpp"
#include "apps/troupe/version.hpp"
#include "runtime/collective/nccl.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/model/model.hpp"
#include "topology/fence.hpp"

namespace troupe {
namespace {

std::uint64_t random_number() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
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

/// A line for every tenth of the way, so that a long load is seen to go on.
load_progress log_progress() {
  return [told = std::uint64_t{0}](std::uint64_t done, std::uint64_t total) mutable {
    auto tenth = total == 0 ? 10 : done * 10 / total;
    if (tenth > told) spdlog::info("weights-loading percent={} bytes={}", tenth * 10, done);
    told = std::max(told, tenth);
  };
}

topology_actor spawn_topology(caf::actor_system& system, const cluster_file& file, const model_bundle& model,
                              std::shared_ptr<generation_store> generations, tracer trace) {
  membership_options membership;
  membership.version = version;
  membership.shape = shape_of(model.config);
  membership.need = [file, config = model.config](std::uint32_t shards, std::uint32_t stages) {
    return largest_rank_bytes(file, config, shards, stages);
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
    parts.make_executor = make_rank_engine(system, file, name, start.device, model, node, counter);
    tracer trace{extras.recorder};
    if (file.allow_faults) parts = with_faults(system, node, std::move(parts), extras.faults, trace);
    return with_trace(std::move(parts), trace);
  };
}

}  // namespace troupe
