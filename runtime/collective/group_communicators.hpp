// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "runtime/collective/bootstrap_store.hpp"
#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"

namespace troupe {

/// The communicators of one rank in a group of tensor x pipeline ranks. Rank = stage x tensor + shard.
struct group_communicators {
  std::unique_ptr<communicator> tensor;    ///< the shards of this rank's stage; its rank is the shard
  std::unique_ptr<communicator> pipeline;  ///< the ranks of this shard in all stages; its rank is the stage
};

/// `options` describe the whole group (rank and size in it, which is tensor x pipeline); the parts get names below its
/// name, as in "demo/g0/7/stage1" and "demo/g0/7/shard0".
group_communicators make_group_communicators(const communicator_options& options, int tensor, int pipeline,
                                             bootstrap_store& store);

}  // namespace troupe
