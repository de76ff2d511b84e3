// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <caf/all.hpp>

#include "actors/engine_rank.hpp"
#include "actors/protocol.hpp"
#include "apps/troupe/model_bundle.hpp"
#include "runtime/progress_counter.hpp"
#include "topology/cluster_file.hpp"

namespace troupe {

/// How the engine of a place of node `name` is made, on the CPU or on a CUDA device: what it computes follows from the
/// view that takes it into an epoch, that is its shard and its communicators. The result throws what those throw.
executor_factory make_rank_engine(caf::actor_system& system, const cluster_file& file, const std::string& name,
                                  const std::string& device, const model_bundle& model, const node_actor& node,
                                  std::shared_ptr<progress_counter> progress);

}  // namespace troupe
