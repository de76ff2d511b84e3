// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "runtime/collective/device_communicator.hpp"
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

/// Operations a second of a large product of bfloat16 matrices on device `index`.
double measure_device_matrix_rate(std::size_t index);

/// How a rank on a device talks to the others of its group. A group of one needs nothing.
struct cuda_links {
  group_communicators host{};                     ///< while starting; what a step exchanges does not pass the host
  std::unique_ptr<device_communicator> tensor{};  ///< null: what the devices cannot exchange directly throws
  std::unique_ptr<device_communicator> pipeline{};
  std::chrono::milliseconds deadline{60'000};  ///< of a step, which waits for all ranks
};

/// An executor on device `index` for one rank of a tensor x pipeline group. Throws config_error for a model or option
/// that it cannot do, and where the build has no CUDA engine.
std::unique_ptr<executor> make_cuda_executor(model source, const shard& part, cuda_links links,
                                             const engine_options& options, std::size_t index);

}  // namespace troupe
