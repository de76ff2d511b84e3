// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "apps/troupe/model_bundle.hpp"
#include "runtime/model/model_config.hpp"
#include "topology/cluster_file.hpp"

namespace troupe {

/// What can be had without swapping: the kernel's own estimate, which counts the page cache as free.
std::uint64_t free_memory_bytes();

/// What the largest rank of a shape needs: weights, KV cache and activations.
std::uint64_t largest_rank_bytes(const cluster_file& file, const model_config& config, std::uint32_t tensor,
                                 std::uint32_t pipeline);

/// Logs what each rank of a node will hold, before anything is loaded. Throws std::invalid_argument with the numbers
/// when they do not fit into the memory that is free.
void plan_node_memory(const cluster_file& file, const model_bundle& model, const std::string& node);

}  // namespace troupe
