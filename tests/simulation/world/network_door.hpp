// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "actors/connect.hpp"

namespace troupe::simulation {

class network;
class process;

/// The actor that answers `publish` and `connect` in a simulated process, in place of CAF's middleman.
network_actor make_network_door(process& home, network& wires);

}  // namespace troupe::simulation
