// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "runtime/collective/bootstrap_store.hpp"
#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"

namespace troupe {

/// Joins this rank to the group and waits for the others; a group of one needs no peers, whatever its kind. The store
/// is used by gloo alone, and only during this call. Throws collective_error naming who is missing,
/// std::invalid_argument for options that cannot be right.
///
/// Parts of a group are groups of their own with a name of their own; see group_communicators.hpp.
std::unique_ptr<communicator> make_communicator(const communicator_options& options, bootstrap_store& store);

}  // namespace troupe
