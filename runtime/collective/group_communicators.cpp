// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/group_communicators.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "runtime/collective/make_communicator.hpp"

namespace troupe {

group_communicators make_group_communicators(const communicator_options& options, int tensor, int pipeline,
                                             bootstrap_store& store) {
  if (tensor < 1 || pipeline < 1 || tensor * pipeline != options.size)
    throw std::invalid_argument(
        fmt::format("tensor {} x pipeline {} is not the group's size {}", tensor, pipeline, options.size));
  const int stage = options.rank / tensor;
  const int shard = options.rank % tensor;
  const auto part = [&](const std::string& name, int rank, int size) {
    auto of_part = options;
    of_part.name = fmt::format("{}/{}", options.name, name);
    of_part.rank = rank;
    of_part.size = size;
    return make_communicator(of_part, store);
  };
  // The same order on all ranks, so that nobody waits in one part for somebody who waits in the other.
  group_communicators parts;
  parts.tensor = part(fmt::format("stage{}", stage), shard, tensor);
  parts.pipeline = part(fmt::format("shard{}", shard), stage, pipeline);
  return parts;
}

}  // namespace troupe
