// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

#include <caf/actor_system_config.hpp>

#include "topology/cluster_file.hpp"

namespace troupe {

struct system_options {
  bool network = true;             ///< load the middleman; without it nothing can be published or reached
  std::size_t threads = 0;         ///< for actors that are not detached; 0: 2 to 4, by the machine's cores
  std::optional<tls_files> tls{};  ///< every connection of this process is mutual TLS 1.3 with these
};

/// CAF as Troupe runs it, the same in every process of a cluster: hand-offs without delay (the default scheduler polls
/// for work every 10 ms), no actor starves another, a silent peer is noticed after half a second.
/// Registers the message types; make it before the actor_system. Throws std::invalid_argument about the TLS files.
class system_config : public caf::actor_system_config {
 public:
  explicit system_config(const system_options& options = {});
};

}  // namespace troupe
