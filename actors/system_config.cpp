// SPDX-License-Identifier: Apache-2.0
#include "actors/system_config.hpp"

#include <algorithm>
#include <string>
#include <thread>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>

#include "actors/forgetful_middleman.hpp"
#include "actors/protocol.hpp"
#include "actors/tls.hpp"

namespace troupe {

system_config::system_config(const system_options& options) {
  caf::init_global_meta_objects<caf::id_block::troupe>();
  caf::openssl::manager::init_global_meta_objects();
  caf::io::middleman::init_global_meta_objects();
  caf::core::init_global_meta_objects();
  auto cores = static_cast<std::size_t>(std::max(1U, std::thread::hardware_concurrency()));
  set("caf.scheduler.policy", "sharing");
  set("caf.scheduler.max-throughput", 300);
  set("caf.scheduler.max-threads", options.threads != 0 ? options.threads : std::clamp<std::size_t>(cores, 2, 4));
  if (!options.network) return;
  load<forgetful_middleman>();
  set("caf.middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{100}});
  set("caf.middleman.connection-timeout", caf::timespan{std::chrono::milliseconds{500}});
  set("caf.middleman.app-identifiers", std::vector<std::string>{"troupe/" + std::to_string(protocol_version)});
  if (options.tls) {
    check_tls_files(*options.tls);
    require_tls_1_3();
    load<caf::openssl::manager>();
    openssl_certificate = options.tls->certificate.string();
    openssl_key = options.tls->key.string();
    openssl_cafile = options.tls->ca.string();
  }
  set("caf.middleman.workers", 0);  // (de)serialise where the socket is: one hand-off less per message
}

}  // namespace troupe
