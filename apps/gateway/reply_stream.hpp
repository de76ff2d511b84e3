// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/protocol.hpp"
#include "apps/gateway/completion_service.hpp"
#include "runtime/text/tokenizer.hpp"

namespace troupe {

/// What the gateway's callers and the actor behind them share: requests on their way in, and the node's health.
struct reply_stream_state {
  struct order {
    generation what;
    request_key key;
    std::uint32_t credit = 0;
    completion_callbacks callbacks;
  };
  std::mutex mutex;
  std::unordered_map<std::uint64_t, order> orders;  ///< by ticket, until the actor has taken them
  std::uint64_t tickets = 0;
  service_health health{false, "starting", ""};
};

/// The completion_service of a node: the one place where HTTP and actors meet. An actor of its own submits to the
/// router, through a resumer that outlives it, and is the sink of every answer; callbacks come from its thread.
class reply_stream final : public completion_service {
 public:
  /// `vocabulary` may be null. With a `journal_path` what was accepted by an earlier process is finished. Throws
  /// std::runtime_error when the journal cannot be written.
  reply_stream(caf::actor_system& system, node_actor node, served_model model,
               std::shared_ptr<const tokenizer> vocabulary, const std::filesystem::path& journal_path = {});
  ~reply_stream() override;

  completion_ticket submit(generation what, const request_key& key, std::uint32_t credit,
                           completion_callbacks callbacks) override;
  void credit(completion_ticket ticket, std::uint32_t events) override;
  void cancel(completion_ticket ticket) override;
  void leave(completion_ticket ticket) override;
  served_model model() const override { return model_; }
  service_health health() const override;
  std::string metrics() const override;
  std::string token_bytes(token_id token) const override;

 private:
  caf::actor_system& system_;
  served_model model_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::shared_ptr<reply_stream_state> state_;
  resumer_actor agent_;
  caf::actor sink_;
};

}  // namespace troupe
