// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "runtime/collective/memory_bootstrap_store.hpp"
#include "runtime/collective/nccl.hpp"
#include "runtime/engine/cuda_executor.hpp"
#include "tests/unit/runtime/engine/executor_group.hpp"

namespace troupe {

inline constexpr std::size_t pair_size = 2;

/// The links of two ranks that are threads of this process, on devices 0 and 1. Without the library where the build has
/// none, or where it is not wanted.
inline std::vector<cuda_links> make_pair_links(bool library = nccl_is_available()) {
  auto host = make_thread_links(pair_size, 1);
  std::vector<cuda_links> links(pair_size);
  memory_bootstrap_store store;
  run_on_threads(pair_size, [&](std::size_t i) {
    links[i].host = std::move(host[i]);
    links[i].deadline = std::chrono::seconds(20);
    communicator_options options;
    options.name = "pair";
    options.rank = static_cast<int>(i);
    options.size = static_cast<int>(pair_size);
    if (library) links[i].tensor = make_nccl_communicator(options, store, i);
  });
  return links;
}

/// Executors on two devices, each with a thread of its own while it runs.
class cuda_pair {
 public:
  cuda_pair(const model& source, const engine_options& options) {
    auto links = make_pair_links();
    ranks_.resize(pair_size);
    run_on_threads(pair_size, [&](std::size_t i) {
      ranks_[i] = make_cuda_executor(source, {i, pair_size, 0, 1}, std::move(links[i]), options, i);
      ranks_[i]->load({});
    });
  }
  ~cuda_pair() {
    run_on_threads(pair_size, [&](std::size_t i) { ranks_[i].reset(); });
  }

  step_result run(const step_plan& plan) {
    std::vector<step_result> results(pair_size);
    run_on_threads(pair_size, [&](std::size_t i) { results[i] = ranks_[i]->run(plan); });
    return results.front();
  }

  executor& rank(std::size_t i) { return *ranks_[i]; }

 private:
  std::vector<std::unique_ptr<executor>> ranks_;
};

}  // namespace troupe
