// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "runtime/collective/communicator_options.hpp"
#include "runtime/collective/segment.hpp"

namespace troupe {

/// The name under /dev/shm by which the ranks of a group find each other.
std::string shared_memory_name(const communicator_options& options);

/// Joins the group's segment, made by whoever comes first, and waits for all other ranks. The name is removed once all
/// have joined; one that a crash left behind is recognised by its dead ranks and replaced.
/// Throws collective_error naming who is missing.
std::shared_ptr<segment> join_shared_memory(const communicator_options& options);

}  // namespace troupe
