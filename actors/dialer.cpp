// SPDX-License-Identifier: Apache-2.0
#include "actors/dialer.hpp"

#include <utility>

#include "actors/tcp_reach.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds lookup_limit{10};  // for a name server, which has limits of its own

using scout_actor = caf::typed_actor<caf::result<std::string>(std::string, std::uint16_t, std::uint32_t)>;

/// Waits in a thread of its own, once. The answer is why the port is not reached, or empty.
scout_actor::behavior_type scout(scout_actor::pointer self) {
  return {[self](const std::string& host, std::uint16_t port, std::uint32_t limit_ms) {
    self->quit();
    return tcp_problem({host, port}, std::chrono::milliseconds(limit_ms));
  }};
}

}  // namespace

dialer::dialer(network_actor::impl* self, dialer_options options)
    : self_(self), options_(std::move(options)), dials_(options_.network) {}

network_actor::behavior_type dialer::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {
      [this](caf::publish_atom publish, std::uint16_t port, caf::strong_actor_ptr& whom,
             std::set<std::string>& interface, std::string& address, bool reuse) -> caf::result<std::uint16_t> {
        return self_->delegate(options_.network, publish, port, std::move(whom), std::move(interface),
                               std::move(address), reuse);
      },
      [this](caf::connect_atom, std::string& host,
             std::uint16_t port) -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
        auto promise = self_->make_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>();
        const endpoint door{std::move(host), port};
        auto limit = static_cast<std::uint32_t>(options_.reach_limit.count());
        self_->request(self_->spawn<caf::detached + caf::hidden>(scout), lookup_limit, door.host, door.port, limit)
            .then(
                [this, door, promise](const std::string& problem) mutable {
                  if (problem.empty()) return dial(door, std::move(promise));
                  promise.deliver(caf::make_error(caf::sec::cannot_connect_to_node, problem, door.host, door.port));
                },
                [promise](const caf::error& reason) mutable { promise.deliver(reason); });
        return promise;
      },
  };
}

void dialer::dial(const endpoint& door, connected promise) {
  self_->request(dials_, options_.connect_limit, caf::connect_atom_v, door.host, door.port)
      .then(
          [promise](caf::node_id& node, caf::strong_actor_ptr& actor, std::set<std::string>& interface) mutable {
            promise.deliver(std::move(node), std::move(actor), std::move(interface));
          },
          [this, promise, used = dials_](const caf::error& reason) mutable {
            if (reason == caf::sec::request_timeout) on_held_up(used);
            promise.deliver(reason);
          });
}

void dialer::on_held_up(const caf::io::middleman_actor& network) {
  if (network != dials_) return;  // replaced by now
  if (dials_ != options_.network) caf::anon_send_exit(dials_, caf::exit_reason::user_shutdown);
  dials_ = options_.another();
}

}  // namespace troupe
