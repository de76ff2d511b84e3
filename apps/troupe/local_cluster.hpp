// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <caf/all.hpp>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "apps/troupe/serving.hpp"

namespace troupe {

/// A group in this process, without network, topology file or HTTP: for `troupe generate`, `troupe bench` and programs
/// of one's own.
struct local_cluster_options {
  std::string model;              ///< a Hugging Face folder; may be empty with random weights
  std::string weights = "files";  ///< or random:NAME
  std::string device = "cpu";
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;
  engine_section engine;
};

class local_cluster {
 public:
  /// Starts the group and waits until it serves. Throws what is wrong with model or options.
  local_cluster(const local_cluster_options& options, load_progress progress);

  client connect() { return client{system_, (*actors_)->node}; }
  caf::actor_system& system() { return system_; }
  const model_bundle& model() const { return model_; }

 private:
  cluster_file file_;
  model_bundle model_;
  system_config config_;
  caf::actor_system system_;
  std::optional<serving_scope> actors_;
};

/// Prints "loading 42 %" and the like on a terminal, and nothing elsewhere.
load_progress terminal_progress(const std::string& what);

}  // namespace troupe
