// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "runtime/collective/bootstrap_store.hpp"
#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"

namespace troupe {

/// True in a build with the Gloo library.
bool gloo_is_available();

/// A group over TCP, each two ranks connected. The connections are neither encrypted nor authenticated: for networks
/// where all who can reach `options.address` are trusted.
///
/// A rank that leaves first waits, at most its deadline, until what it sent has been taken.
/// Throws collective_error naming who is missing, std::invalid_argument in a build without Gloo.
std::unique_ptr<communicator> make_gloo_communicator(const communicator_options& options, bootstrap_store& store);

}  // namespace troupe
