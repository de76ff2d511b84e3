// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/rank_engine.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "actors/node_bootstrap_store.hpp"
#include "apps/troupe/user_folders.hpp"
#include "runtime/collective/group_communicators.hpp"
#include "runtime/collective/nccl.hpp"
#include "runtime/collective/watched_communicator.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "runtime/engine/model_executor.hpp"
#include "runtime/engine/scripted_executor.hpp"
#include "runtime/model/model.hpp"

namespace troupe {
namespace {

/// Spares count: they may have to compute beside all others. A rank on a CUDA device needs threads while it loads, when
/// all such ranks may load.
std::uint32_t threads_of(const cluster_file& file, const std::string& node, rank_device_kind kind) {
  if (file.engine.threads != 0) return file.engine.threads;
  std::uint32_t ranks = 0;
  auto count = [&](const rank_place& place) {
    if (place.node == node && place.device.kind == kind) ++ranks;
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

}  // namespace

executor_factory make_rank_engine(caf::actor_system& system, const cluster_file& file, const std::string& name,
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
    constexpr std::string_view cuda = "cuda:";
    const bool on_cuda = device.starts_with(cuda);
    options.threads = threads_of(file, name, on_cuda ? rank_device_kind::cuda : rank_device_kind::cpu);
    options.block_tokens = file.engine.block_tokens;
    options.kv_blocks = static_cast<std::uint32_t>(file.engine.kv_blocks);
    options.kv_bytes = file.engine.kv_memory_bytes;
    options.batch_tokens_max = file.engine.max_batch_tokens;
    options.cache_folder = cache_folder().string();
    options.tell = [](const std::string& line) { spdlog::info("{}", line); };
    if (on_cuda) {
      const auto index = std::stoul(device.substr(cuda.size()));
      return make_cuda_executor(open_model(model.source), shard_of_rank(rank, view.tensor, view.pipeline),
                                join_devices(joining, view, std::move(links), store, index), options, index);
    }
    return std::make_unique<model_executor>(open_model(model.source), shard_of_rank(rank, view.tensor, view.pipeline),
                                            std::move(links), options);
  };
}

}  // namespace troupe
