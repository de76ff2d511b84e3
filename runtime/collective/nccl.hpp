// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/collective/bootstrap_store.hpp"
#include "runtime/collective/communicator_options.hpp"
#include "runtime/collective/device_communicator.hpp"

namespace troupe {

/// Whether this build has NCCL.
bool nccl_is_available();

/// Joins this rank's device to the group through NCCL: the lowest rank makes the group's id and leaves it in the store
/// under the group's name, which holds the epoch. Waits for the others until the joining deadline. Throws
/// collective_error saying what was waited for, std::invalid_argument where the build has no NCCL.
std::unique_ptr<device_communicator> make_nccl_communicator(const communicator_options& options, bootstrap_store& store,
                                                            std::size_t device);

}  // namespace troupe
