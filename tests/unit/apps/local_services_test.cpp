// SPDX-License-Identifier: Apache-2.0
// The node's own actors, killed one after the other while it serves.
#include "actors/local_services.hpp"

#include <catch2/catch_test_macros.hpp>

#include "actors/client.hpp"
#include "apps/troupe/local_cluster.hpp"
#include "apps/troupe/serving.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

constexpr const char* model = TROUPE_SOURCE_DIR "/tests/data/models/qwen2-tiny";

/// A node of one rank in this process, whose own actors can be reached and killed.
struct small_node {
  cluster_file file = parse_cluster_file(std::string("cluster: c\nisolation: thread\nmodel: ") + model +
                                             "\nnodes: {a: {address: 127.0.0.1, port: 0}}\n"
                                             "groups: [{name: g0, ranks: [a/cpu:0]}]\n"
                                             "engine: {threads: 1, kv_memory: 16MiB}\n",
                                         "test.yaml");
  model_bundle bundle = read_model_bundle(file);
  system_config config{{.network = false, .threads = 0}};
  caf::actor_system system{config};
  serving_scope actors{
      spawn_serving(system, file, bundle, "a",
                    std::make_shared<thread_launcher>(system, make_rank_recipe(system, file, "a", bundle)))};
  caf::scoped_actor self{system};

  small_node() { actors->start(); }

  router_actor router() {
    router_actor found;
    self->request(actors->node, 5s, find_router{})
        .receive([&](router_actor& now) { found = now; }, [](const caf::error&) {});
    return found;
  }

  template <class Handle>
  void kill(const Handle& actor) {
    self->monitor(actor);
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    self->receive([](const caf::down_msg&) {});
  }

  /// Waits until the node knows another router than `old`.
  router_actor next_router(const router_actor& old) {
    for (int i = 0; i < 500; ++i) {
      auto now = router();
      if (!now || now != old) return now;
      self->receive(caf::after(10ms) >> [] {});
    }
    return {};
  }

  /// How a short request ends.
  finish_reason ask() {
    client program{system, actors->node};
    REQUIRE(program.wait_until_ready(30s));
    generation what;
    what.prompt.text = "hello";
    what.stops.max_tokens = 5;
    auto stream = program.generate(what);
    auto end = finish_reason::none;
    for (const auto& event : stream)
      end = event.finish;
    return end;
  }
};

}  // namespace

TEST_CASE("a router that ends is replaced, and the node serves on with the new one") {
  small_node node;
  REQUIRE(node.ask() == finish_reason::length);
  auto old = node.router();
  node.kill(old);
  auto next = node.next_router(old);
  REQUIRE(next);
  CHECK(next != old);
  CHECK(node.ask() == finish_reason::length);
}

TEST_CASE("a router that ends again and again ends its node with a sentence") {
  small_node node;
  node.self->monitor(node.actors->node);
  auto router = node.router();
  for (std::size_t i = 0; i <= local_services::replacements_max; ++i) {
    REQUIRE(router);
    node.kill(router);
    if (i < local_services::replacements_max) router = node.next_router(router);
  }
  caf::error reason;
  node.self->receive([&](const caf::down_msg& down) { reason = down.reason; }, caf::after(5s) >> [] {});
  CHECK(describe(reason).find("the router of node a ended more than 3 times") != std::string::npos);
}

TEST_CASE("the topology actor is replaced, and its groups serve on in their epoch") {
  small_node node;
  REQUIRE(node.ask() == finish_reason::length);
  auto epoch = client{node.system, node.actors->node}.status().view.groups.front().epoch;
  node.kill(node.actors->topology);
  REQUIRE(node.ask() == finish_reason::length);
  node.self->receive(caf::after(3s) >> [] {});  // longer than a new topology actor waits for what served before it
  CHECK(node.ask() == finish_reason::length);
  CHECK(client{node.system, node.actors->node}.status().view.groups.front().epoch == epoch);
}

TEST_CASE("every service is replaced in its place and only when it was one of them") {
  system_config config{{.network = false, .threads = 0}};
  caf::actor_system system{config};
  auto idle = [](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; };
  auto spawn = [&] { return system.spawn(idle); };
  local_service_factories make;
  make.tokenizers = 2;
  make.make_tokenizer = [&] { return caf::actor_cast<tokenizer_actor>(spawn()); };
  make.make_detokenizer = [&] { return caf::actor_cast<detokenizer_actor>(spawn()); };
  make.make_router = [&](const text_actors&) { return caf::actor_cast<router_actor>(spawn()); };
  local_services services{std::move(make)};
  const local_services::time_point now{};
  CHECK_FALSE(services.topology());
  CHECK(services.all().size() == 4);
  auto stranger = spawn();
  CHECK(services.replace(stranger.address(), now).service.empty());
  caf::anon_send_exit(stranger, caf::exit_reason::kill);
  auto second = services.text().tokenizers[1];
  auto first = services.text().tokenizers[0];
  auto replaced = services.replace(second.address(), now);
  caf::anon_send_exit(second, caf::exit_reason::kill);
  CHECK(replaced.service == "tokenizer");
  CHECK(services.text().tokenizers[0] == first);
  CHECK(services.text().tokenizers[1].address() == replaced.actor.address());
  for (std::size_t i = 0; i < local_services::replacements_max; ++i) {
    auto old = services.text().detokenizer;
    CHECK(services.replace(old.address(), now).actor);
    caf::anon_send_exit(old, caf::exit_reason::kill);
  }
  CHECK_FALSE(services.replace(services.text().detokenizer.address(), now + 59s).actor);
  auto old = services.text().detokenizer;
  CHECK(services.replace(old.address(), now + 61s).actor);
  caf::anon_send_exit(old, caf::exit_reason::kill);
}
