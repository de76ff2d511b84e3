// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "topology/cluster_file.hpp"

namespace CLI {
class App;
}

namespace troupe {

/// How a command reaches the cluster.
struct connection_options {
  std::string node;      ///< HOST:PORT, several with commas between, or a topology file
  std::string topology;  ///< gives nodes and TLS files that are not given otherwise
  std::string certificate;
  std::string key;
  std::string ca;
};

void add_connection_options(CLI::App& command, connection_options& options);

/// What they come to. Throws std::invalid_argument when some of the TLS files are given and others are not.
struct connection_target {
  std::vector<host_port> doors;  ///< of one cluster; an answer goes on at another when one is lost
  std::optional<tls_files> tls;

  system_options system() const { return {.network = true, .threads = 0, .tls = tls}; }
};
connection_target resolve(const connection_options& options);

/// The first node that answers. Throws client_error naming the addresses.
client reach(caf::actor_system& system, const connection_target& target);

}  // namespace troupe
