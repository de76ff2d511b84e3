// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/local_cluster.hpp"

#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/troupe/model_checksums.hpp"
#include "runtime/engine/cuda_executor.hpp"

namespace troupe {
namespace {

cluster_file make_file(const local_cluster_options& options) {
  if (options.device != "cpu" && options.device != "cuda")
    throw std::invalid_argument(fmt::format("'{}' is no device; use cpu or cuda", options.device));
  const bool cuda = options.device == "cuda";
  if (cuda && !cuda_is_built()) throw std::invalid_argument("this build has no CUDA engine; use --device cpu");
  if (cuda && options.engine.max_sequences > cuda_sequences_max)
    throw std::invalid_argument(fmt::format("--max-sequences {} is more than the {} that a CUDA device runs at once",
                                            options.engine.max_sequences, cuda_sequences_max));
  cluster_file file;
  file.cluster = fmt::format("local-{}", getpid());
  file.model = options.model;
  file.weights = options.weights;
  file.isolation = isolation_mode::thread;
  file.engine = options.engine;
  file.engine.max_wait_ms = 0;  // there is one user, and it waits
  file.nodes.push_back({"local", {"127.0.0.1", 0}, std::nullopt, {}});
  group_spec group;
  group.name = "g0";
  group.tensor = options.tensor;
  group.pipeline = options.pipeline;
  for (std::uint32_t rank = 0; rank < options.tensor * options.pipeline; ++rank)
    group.ranks.push_back({"local", {cuda ? rank_device_kind::cuda : rank_device_kind::cpu, rank}});
  file.groups.push_back(std::move(group));
  check_served(file);
  return file;
}

model_bundle read_checked(const cluster_file& file) {
  verify_checksums(file.model);
  auto model = read_model_bundle(file);
  plan_shards(file.groups.front(), shape_of(model.config));  // throws with what would divide
  return model;
}

}  // namespace

local_cluster::local_cluster(const local_cluster_options& options, load_progress progress)
    : file_(make_file(options)),
      model_(read_checked(file_)),
      config_({.network = false, .threads = 0}),
      system_(config_) {
  auto launcher = std::make_shared<thread_launcher>(
      system_, make_rank_recipe(system_, file_, "local", model_, std::move(progress)));
  actors_.emplace(spawn_serving(system_, file_, model_, "local", std::move(launcher)));
  (*actors_)->start();
  std::string waits;
  auto note = [&](const cluster_view& view) { waits = view.groups.empty() ? "" : view.groups.front().message; };
  if (!connect().wait_until_ready(std::chrono::hours(1), note))
    throw std::runtime_error("the group did not start: " + waits);
}

load_progress terminal_progress(const std::string& what) {
  if (isatty(STDERR_FILENO) == 0) return [](std::uint64_t, std::uint64_t) {};
  return [what](std::uint64_t done, std::uint64_t total) {
    constexpr int width = 40;
    auto share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
    auto filled = static_cast<int>(share * width);
    fmt::print(stderr, "\r{} [{}{}] {:3.0f} %{}", what, std::string(filled, '='), std::string(width - filled, ' '),
               share * 100, done >= total ? "\r\033[K" : "");
    std::fflush(stderr);
  };
}

}  // namespace troupe
