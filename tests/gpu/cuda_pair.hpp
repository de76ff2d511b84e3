// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/collective/memory_bootstrap_store.hpp"
#include "runtime/collective/nccl.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "tests/unit/runtime/engine/executor_group.hpp"

namespace troupe {

inline constexpr std::size_t pair_size = 2;

/// Two shards of one stage, or two stages of one shard.
enum class pair_shape { shards, stages };

inline shard part_of(pair_shape shape, std::size_t i) {
  return shape == pair_shape::shards ? shard{i, pair_size, 0, 1} : shard{0, 1, i, pair_size};
}

/// The links of two ranks that are threads of this process, on devices 0 and 1. Without the library where the build has
/// none, or where it is not wanted.
inline std::vector<cuda_links> make_pair_links(bool library = nccl_is_available(),
                                               pair_shape shape = pair_shape::shards) {
  const bool in_shards = shape == pair_shape::shards;
  auto host = make_thread_links(in_shards ? pair_size : 1, in_shards ? 1 : pair_size);
  std::vector<cuda_links> links(pair_size);
  memory_bootstrap_store store;
  run_on_threads(pair_size, [&](std::size_t i) {
    links[i].host = std::move(host[i]);
    links[i].deadline = std::chrono::seconds(20);
    communicator_options options;
    options.name = "pair";
    options.rank = static_cast<int>(i);
    options.size = static_cast<int>(pair_size);
    if (library) (in_shards ? links[i].tensor : links[i].pipeline) = make_nccl_communicator(options, store, i);
  });
  return links;
}

/// Executors on two devices, each with a thread of its own while it runs.
class cuda_pair {
 public:
  cuda_pair(const model& source, const engine_options& options, pair_shape shape = pair_shape::shards) {
    auto links = make_pair_links(nccl_is_available(), shape);
    ranks_.resize(pair_size);
    run_on_threads(pair_size, [&](std::size_t i) {
      ranks_[i] = make_cuda_executor(source, part_of(shape, i), std::move(links[i]), options, i);
      ranks_[i]->load({});
    });
  }
  ~cuda_pair() {
    run_on_threads(pair_size, [&](std::size_t i) { ranks_[i].reset(); });
  }

  /// The result of the rank that samples.
  step_result run(const step_plan& plan) {
    std::vector<step_result> results(pair_size);
    run_on_threads(pair_size, [&](std::size_t i) { results[i] = ranks_[i]->run(plan); });
    return ranks_.front()->samples() ? results.front() : results.back();
  }

  executor& rank(std::size_t i) { return *ranks_[i]; }

 private:
  std::vector<std::unique_ptr<executor>> ranks_;
};

}  // namespace troupe
