// SPDX-License-Identifier: Apache-2.0
#include "actors/dialer.hpp"

#include <vector>

#include <arpa/inet.h>
#include <catch2/catch_test_macros.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/network.hpp"
#include "actors/system_config.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// A port of this machine that takes no connection and refuses none: its queue of connections is full.
class silent_door {
 public:
  silent_door() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const auto listener = keep(SOCK_STREAM);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 0) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    for (int i = 0; i < 8; ++i)
      ::connect(keep(SOCK_STREAM | SOCK_NONBLOCK), reinterpret_cast<sockaddr*>(&address), size);
    port_ = ntohs(address.sin_port);
  }
  silent_door(const silent_door&) = delete;
  silent_door& operator=(const silent_door&) = delete;
  ~silent_door() {
    for (auto file : files_)
      ::close(file);
  }

  std::uint16_t port() const { return port_; }

 private:
  int keep(int kind) {
    files_.push_back(::socket(AF_INET, kind, 0));
    return files_.back();
  }

  std::vector<int> files_;
  std::uint16_t port_ = 0;
};

struct pair_of_processes {
  system_config here_config, there_config;
  caf::actor_system here{here_config}, there{there_config};
  caf::scoped_actor self{here};
  network_actor network = network_of(here);
};

caf::behavior deaf() {
  return {[](int) {}};
}

}  // namespace

TEST_CASE("a host that is silent holds up no other connection and is given up") {
  const silent_door silent;
  pair_of_processes both;
  auto peer = both.there.spawn(deaf);
  auto port = both.there.middleman().publish(peer, 0, "127.0.0.1");
  REQUIRE(port);

  auto lost = both.self->request(both.network, 20s, caf::connect_atom_v, std::string{"127.0.0.1"}, silent.port());
  auto found = both.self->request(both.network, 20s, caf::connect_atom_v, std::string{"127.0.0.1"}, *port);
  int answers = 0;
  found.receive(
      [&](const caf::node_id&, const caf::strong_actor_ptr& actor, const std::set<std::string>&) {
        CHECK(actor);
        CHECK(++answers == 1);
      },
      [](const caf::error& reason) { FAIL(to_string(reason)); });
  lost.receive([](const caf::node_id&, const caf::strong_actor_ptr&,
                  const std::set<std::string>&) { FAIL("the silent door answered"); },
               [&](const caf::error& reason) {
                 CHECK(reason == caf::sec::cannot_connect_to_node);
                 CHECK(++answers == 2);
               });
  caf::anon_send_exit(peer, caf::exit_reason::user_shutdown);
}

TEST_CASE("a network actor that is held up is replaced by another") {
  pair_of_processes both;
  auto peer = both.there.spawn(deaf);
  auto port = both.there.middleman().publish(peer, 0, "127.0.0.1");
  REQUIRE(port);
  // Takes every message and answers none, as CAF's does while TCP waits.
  auto held_up = caf::actor_cast<caf::io::middleman_actor>(both.here.spawn([](caf::event_based_actor* actor) {
    actor->set_default_handler(caf::skip);
    return caf::behavior{[](int) {}};
  }));
  dialer_options options{held_up, [&both] { return both.here.middleman().actor_handle(); }};
  options.connect_limit = 50ms;
  auto network = both.here.spawn<dialer_impl>(options);
  const auto dial = [&] {
    return both.self->request(network, 20s, caf::connect_atom_v, std::string{"127.0.0.1"}, *port);
  };
  dial().receive([](const caf::node_id&, const caf::strong_actor_ptr&,
                    const std::set<std::string>&) { FAIL("answered by an actor that is held up"); },
                 [](const caf::error& reason) { CHECK(reason == caf::sec::request_timeout); });
  dial().receive(
      [](const caf::node_id&, const caf::strong_actor_ptr& actor, const std::set<std::string>&) { CHECK(actor); },
      [](const caf::error& reason) { FAIL(to_string(reason)); });
  caf::anon_send_exit(held_up, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(peer, caf::exit_reason::user_shutdown);
}
