// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "topology/membership.hpp"

namespace troupe {

/// Opens a TCP connection and closes it. Why it could not be opened, or an empty string. Waits at most `timeout`, where
/// CAF's own connect would hold up all others of the process for minutes.
std::string tcp_problem(const endpoint& door, std::chrono::milliseconds timeout);

}  // namespace troupe
