// SPDX-License-Identifier: Apache-2.0
#include "actors/forgetful_middleman.hpp"

#include <future>

#include <caf/all.hpp>
#include <catch2/catch_test_macros.hpp>

#include "actors/system_config.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

caf::behavior echo_host() {
  return {[](int x) { return x; }};
}

/// How many peers the network of a system knows anything of.
std::size_t peers_kept(caf::actor_system& system) {
  std::promise<std::size_t> kept;
  auto& network = system.middleman();
  auto broker = network.named_broker<caf::io::basp_broker>("BASP");
  network.run_later([&] {
    kept.set_value(
        static_cast<caf::io::basp_broker*>(caf::actor_cast<caf::abstract_actor*>(broker))->spawn_servers.size());
  });
  return kept.get_future().get();
}

}  // namespace

TEST_CASE("of a process that has gone, the network keeps nothing") {
  system_config config;
  caf::actor_system host{config};
  caf::scoped_actor self{host};
  auto served = host.spawn(echo_host);
  auto port = host.middleman().publish(served, 0, "127.0.0.1");
  REQUIRE(port);
  for (int i = 0; i < 3; ++i) {
    {
      system_config peer_config;
      caf::actor_system peer{peer_config};
      auto door = peer.middleman().remote_actor("127.0.0.1", *port);
      REQUIRE(door);
      caf::scoped_actor asker{peer};
      asker->request(*door, 20s, 7)
          .receive([](int x) { CHECK(x == 7); }, [](const caf::error& e) { FAIL(to_string(e)); });
      CHECK(peers_kept(host) == 1);
      self->monitor(peer.node());
    }
    self->receive([](const caf::node_down_msg&) {}, caf::after(20s) >> [] { FAIL("the peer's end went unnoticed"); });
    CHECK(peers_kept(host) == 0);
  }
  self->send_exit(served, caf::exit_reason::user_shutdown);
}
