// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/connection_options.hpp"

#include <filesystem>
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "apps/troupe/cluster_address.hpp"

namespace troupe {

void add_connection_options(CLI::App& command, connection_options& options) {
  command
      .add_option(
          "--node", options.node,
          "Any node, HOST:PORT; several with commas between: an answer goes on at another node when one is lost. "
          "127.0.0.1:4242 when not given")
      ->envname("TROUPE_NODE");
  command.add_option("--topology,-t", options.topology,
                     "A topology file: its nodes are asked, with its TLS files, where they are not given");
  command.add_option("--cert", options.certificate, "TLS: certificate of the asker")->envname("TROUPE_TLS_CERT");
  command.add_option("--key", options.key, "TLS: its key")->envname("TROUPE_TLS_KEY");
  command.add_option("--ca", options.ca, "TLS: certificate of the cluster's authority")->envname("TROUPE_TLS_CA");
}

connection_target resolve(const connection_options& options) {
  connection_target target{{{"127.0.0.1", 4242}}, std::nullopt};
  // To reach a cluster is no risk to it: what its nodes may not do without --insecure is theirs.
  const auto& path = std::filesystem::is_regular_file(options.node) ? options.node : options.topology;
  if (!path.empty()) {
    auto file = load_cluster_file(path, {.insecure = true});
    target = {{}, file.tls};
    for (const auto& node : file.nodes)
      target.doors.push_back(node.cluster);
  }
  if (!options.node.empty()) target.doors = parse_nodes(options.node);
  const auto given = !options.certificate.empty() + !options.key.empty() + !options.ca.empty();
  if (given != 0 && given != 3) throw std::invalid_argument("TLS needs all of --cert, --key and --ca");
  if (given == 3) target.tls = tls_files{options.certificate, options.key, options.ca};
  return target;
}

client reach(caf::actor_system& system, const connection_target& target) {
  std::vector<endpoint> nodes;
  for (const auto& [host, port] : target.doors)
    nodes.push_back({host, port});
  return client::connect(system, nodes);
}

}  // namespace troupe
