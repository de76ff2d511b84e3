// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/collective/group_communicators.hpp"
#include "runtime/engine/engine_options.hpp"
#include "runtime/engine/executor.hpp"
#include "runtime/model/model.hpp"
#include "runtime/model/shard.hpp"

namespace troupe {

/// Whether this build has the CUDA engine; that a device is there is another matter.
bool cuda_is_built();

/// Sequences that one step can sample.
inline constexpr std::size_t cuda_sequences_max = 512;

/// Bytes a second that device `index` copies within its memory, reads and writes counted each.
double measure_device_copy_bandwidth(std::size_t index);

/// An executor on device `index`, for a group of one rank. Throws config_error for a model or option that it cannot
/// do, and where the build has no CUDA engine.
std::unique_ptr<executor> make_cuda_executor(model source, const shard& part, group_communicators links,
                                             const engine_options& options, std::size_t index);

}  // namespace troupe
