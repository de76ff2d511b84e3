// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/connection_options.hpp"

#include <stdexcept>

#include <CLI/CLI.hpp>

#include "apps/troupe/cluster_address.hpp"

namespace troupe {

void add_connection_options(CLI::App& command, connection_options& options) {
  command.add_option("--node", options.node, "Address of any node, HOST:PORT; 127.0.0.1:4242 when not given")
      ->envname("TROUPE_NODE");
  command.add_option("--topology,-t", options.topology,
                     "A topology file: its first node is asked, with its TLS files, where they are not given");
  command.add_option("--cert", options.certificate, "TLS: certificate of the asker")->envname("TROUPE_TLS_CERT");
  command.add_option("--key", options.key, "TLS: its key")->envname("TROUPE_TLS_KEY");
  command.add_option("--ca", options.ca, "TLS: certificate of the cluster's authority")->envname("TROUPE_TLS_CA");
}

connection_target resolve(const connection_options& options) {
  connection_target target{{"127.0.0.1", 4242}, std::nullopt};
  if (!options.topology.empty()) {
    auto file = load_cluster_file(options.topology, {.insecure = true});
    target = {file.nodes.front().cluster, file.tls};
  }
  if (!options.node.empty()) target.door = parse_address(options.node);
  const auto given = !options.certificate.empty() + !options.key.empty() + !options.ca.empty();
  if (given != 0 && given != 3) throw std::invalid_argument("TLS needs all of --cert, --key and --ca");
  if (given == 3) target.tls = tls_files{options.certificate, options.key, options.ca};
  return target;
}

}  // namespace troupe
